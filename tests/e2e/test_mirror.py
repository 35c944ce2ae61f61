"""``--delete``: what the source does not have goes from the destination, and nothing else."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from commands import Result, Run
from conftest import MakeRecorder, Tree
from stores.store import Bucket, Store
from trees import Link

DAYS = 86400


def deleted(result: Result) -> dict[str, str]:
    """Reasons by key or by path, from ``--json``, held against the summary."""
    events = [each for each in result.events if each["event"] == "deleted"]
    assert len(events) == result.events[-1]["deleted"], result
    return {each.get("key") or each["path"]: each["reason"] for each in events}


# put


def test_a_put_makes_the_bucket_like_the_source(
    s3pp: Run, bucket: Bucket, tree: Tree, tmp_path: Path
) -> None:
    src = tree({"a": b"1", "d/b": b"2", "é/\U0001f600": b"3"})
    bucket.fill({"p/a": b"1", "p/d/b": b"old", "p/d/c": b"3", "p/z": b"45", "p!": b"", "q": b"6"})
    journal = tmp_path / "journal"
    result = s3pp("put", "--delete", "-v", f"--journal={journal}", src, f"{bucket.url}/p")
    assert result.code == 0, result
    kept = {"p!": b"", "q": b"6"}
    assert bucket.tree() == {f"p/{name}": body for name, body in tree.read(src).items()} | kept
    lines = [line for line in result.lines if line.startswith("delete ")]
    assert lines == [f"delete {bucket.url}/p/{name} (not in source)" for name in ("d/c", "z")]
    assert result.summary.startswith("put 2 bytes in 2 files ")
    assert ", 2 deleted" in result.summary
    events = [json.loads(line) for line in journal.read_text().splitlines()]
    gone = {each["key"]: each for each in events if each["event"] == "deleted"}
    assert gone.keys() == {"p/d/c", "p/z"}
    assert (gone["p/z"]["reason"], gone["p/z"]["size"], gone["p/z"]["verb"]) == (
        "not in source",
        2,
        "put",
    )
    again = s3pp("put", "--delete", src, f"{bucket.url}/p")
    assert (again.code, again.counts.done, again.counts.skipped) == (0, 0, 3)
    assert "deleted" not in again.summary


@pytest.mark.parametrize("mode", ["stupid", "add"])
def test_each_mode_mirrors(s3pp: Run, moto_bucket: Bucket, tree: Tree, mode: str) -> None:
    src = tree({"a": b"new", "b": b"2"})
    moto_bucket.fill({"a": b"old", "x": b"1"})
    result = s3pp("put", "--delete", f"--mode={mode}", src, moto_bucket.url)
    assert result.code == 0, result
    assert moto_bucket.tree() == {"a": b"old" if mode == "add" else b"new", "b": b"2"}


def test_the_destination_is_listed_once_and_nothing_else_is_asked(
    s3pp: Run, moto: Store, moto_bucket: Bucket, recorder: MakeRecorder
) -> None:
    """The listing that answers the comparison is the one that shows what is extraneous."""
    dest = moto.bucket()
    moto_bucket.fill({f"k{n:04d}": b"1" for n in range(0, 1200, 100)})
    dest.fill({f"k{n:04d}": b"1" for n in range(1200)})
    between = recorder(moto)
    places = (moto_bucket.url, dest.url)
    result = s3pp("copy", "--delete", "--listers=1", *places, store=between.store)
    assert (result.code, len(dest.keys())) == (0, 12), result
    assert "1188 deleted" in result.summary
    looked = between.count("GET", f"{dest.name}?list-type=2") - between.count("GET", "max-keys=1&")
    assert looked <= 2 + 4, "two pages of the walk, and of looks right before the deletions"
    assert (between.heads, between.puts, between.count("POST")) == (0, 0, 2)


def test_a_dry_run_shows_what_would_go(
    s3pp: Run, moto: Store, moto_bucket: Bucket, tree: Tree, recorder: MakeRecorder
) -> None:
    src = tree({"a": b"1", "new": b"2"})
    moto_bucket.fill({"a": b"1", "x": b"45", "y": b"6"})
    between = recorder(moto)
    options = ("put", "--delete", "-n", src, moto_bucket.url)
    result = s3pp(*options, store=between.store)
    assert result.code == 0, result
    assert f"delete {moto_bucket.url}/x (not in source)" in result.lines
    assert ", 2 to delete" in result.summary
    assert between.count("POST") == between.count("DELETE") == between.puts == 0
    assert moto_bucket.keys() == ["a", "x", "y"]
    programmed = s3pp(*options, "--json")
    assert deleted(programmed) == dict.fromkeys("xy", "not in source")
    assert programmed.events[-1]["deleted_bytes"] == 3
    refused = s3pp(*options, "--max-delete=1")
    reason = "2 of 3 objects would be, and --max-delete allows 1"
    assert refused.code == 3
    assert refused.err == f"s3pp: nothing is deleted from {moto_bucket.url}/: {reason}\n"
    assert f"delete {moto_bucket.url}/y (not in source)" in refused.lines
    assert ", 2 to delete" in refused.summary
    plan = tree({}, "plans") / "plan"
    programmed = s3pp(*options, "--max-delete=1", "--json", f"--plan={plan}")
    assert deleted(programmed) == dict.fromkeys("xy", "not in source")
    assert (programmed.code, programmed.events[-1]["not_deleted"]) == (3, reason)
    assert not plan.exists()
    assert "no plan is written, as what it would delete is refused" in programmed.err
    assert s3pp("put", "--delete", "-n", "--exit-code", src, moto_bucket.url).code == 1


def test_filters_protect_what_they_exclude(s3pp: Run, moto_bucket: Bucket, tree: Tree) -> None:
    src = tree({"a": b"1", "x.log": b"2", "cache/f": b"3"})
    held = ("a", "old", "x.log", "y.log", "cache/f", "cache/g")
    moto_bucket.fill(dict.fromkeys(held, b"1"))
    filters = ("--exclude=*.log", "--exclude=cache")
    result = s3pp("put", "--delete", "--json", *filters, src, moto_bucket.url)
    assert (result.code, deleted(result)) == (0, {"old": "not in source"})
    result = s3pp("put", "--delete", "--delete-excluded", "--json", *filters, src, moto_bucket.url)
    names = ("x.log", "y.log", "cache/f", "cache/g")
    assert (result.code, deleted(result)) == (0, dict.fromkeys(names, "excluded"))
    assert moto_bucket.tree() == {"a": b"1"}


@pytest.mark.parametrize("verb", ["put", "get", "copy"])
def test_what_size_or_age_leave_out_is_in_the_source(
    s3pp: Run, moto: Store, moto_bucket: Bucket, tree: Tree, verb: str
) -> None:
    """Size and age concern the source: what only the destination has goes, whatever its size."""
    contents = {"big": b"1" * 100, "small": b"1"}
    there, dest = moto.bucket(), tree({"big": b"old", "gone": b"2" * 100}, "dest")
    source = tree(contents)
    moto_bucket.fill(contents)
    there.fill({"big": b"old", "gone": b"2" * 100})
    places = {
        "put": (source, there.url),
        "get": (moto_bucket.url, dest),
        "copy": (moto_bucket.url, there.url),
    }

    def held() -> dict[str, bytes]:
        return tree.read(dest) if verb == "get" else there.tree()

    options = (verb, "--delete", "--max-size=10", "--json")
    result = s3pp(*options, *places[verb])
    assert (result.code, held()) == (0, {"big": b"old", "small": b"1"}), result
    result = s3pp(*options, "--delete-excluded", *places[verb])
    assert (result.code, held()) == (0, {"small": b"1"}), result
    assert list(deleted(result).values()) == ["excluded"]
    result = s3pp(verb, "--delete", "--newer-than=2100-01-01", *places[verb])
    assert (result.code, held()) == (0, {"small": b"1"}), "the source is not empty"


def test_keys_that_no_file_can_have_are_left(s3pp: Run, moto_bucket: Bucket, tree: Tree) -> None:
    """They were not put from a directory: markers, empty segments, those that lead elsewhere."""
    src = tree({"a": b"1"})
    unfinished = ("x.s3pp-0123456789abcdef", "d/x.s3pp-0123456789abcdef.part")
    odd = ("d/", "a//b", "/a", "x/../y", "./z", *unfinished)
    moto_bucket.fill(dict.fromkeys(odd, b"") | {"x": b"1"})
    result = s3pp("put", "--delete", src, moto_bucket.url)
    assert (result.code, set(moto_bucket.keys())) == (0, {"a", *odd}), result


def test_what_the_source_has_in_another_form_is_left(
    s3pp: Run, moto_bucket: Bucket, tree: Tree, tmp_path: Path
) -> None:
    """A link that is not followed hides what is below it; a FIFO is not what was put."""
    outside = make = tree({"in": b"1"}, "outside")
    src = tree({"a": b"1", "d": Link(str(make)), "f": Link("a")})
    os.mkfifo(src / "fifo")
    held = ("a", "d", "d/in", "d!", "f", "fifo", "gone", "fifo/x")
    moto_bucket.fill(dict.fromkeys(held, b"1"))
    result = s3pp("put", "--delete", "--json", "--no-follow-symlinks", src, moto_bucket.url)
    assert result.code == 0, result
    assert deleted(result) == dict.fromkeys(("d!", "gone", "fifo/x"), "not in source")
    assert tree.read(outside) == {"in": b"1"}


@pytest.mark.parametrize("follows", [True, False])
def test_a_file_that_has_become_a_directory_goes(
    s3pp: Run, moto_bucket: Bucket, tree: Tree, follows: bool
) -> None:
    """What is there now has keys of its own, and is not what was put."""
    outside = tree({"in": b"1"}, "outside")
    src = tree({"c/x": b"1", "d": Link(str(outside)), "f/y": b"2"})
    moto_bucket.fill({"c": b"1", "d": b"2", "f": b"3", "f/y": b"2"})
    options = () if follows else ("--no-follow-symlinks",)
    result = s3pp("put", "--delete", *options, src, moto_bucket.url)
    linked = ["d/in"] if follows else ["d"]
    assert (result.code, moto_bucket.keys()) == (0, ["c/x", *linked, "f/y"]), result


def test_names_that_are_no_keys_do_not_disturb_the_order(
    s3pp: Run, moto_bucket: Bucket, tree: Tree
) -> None:
    """Their bytes sort after those of all keys, and their text does not."""
    src = tree({"a": b"1", "\U0001f600": b"2", os.fsdecode(b"\xfflarge"): b"3" * 100})
    os.mkfifo(os.fsencode(src) + b"/\xff")
    moto_bucket.fill({"old": b"1", "\U0001f600": b"2", "\U0001f601": b"3"})
    result = s3pp("put", "--delete", "--max-size=10", src, moto_bucket.url)
    assert (result.code, moto_bucket.keys()) == (0, ["a", "\U0001f600"]), result


# The guards


def test_too_many_deletions_are_refused(
    s3pp: Run, moto_bucket: Bucket, tree: Tree, tmp_path: Path
) -> None:
    """Of what the destination holds, as the run begins, and the filters do not exclude."""
    src, url, journal = tree({"a": b"1", "new": b"2"}), moto_bucket.url, tmp_path / "journal"
    moto_bucket.fill(dict.fromkeys(("a", "x", "y", "z", "k.log"), b"1"))
    options = ("put", "--delete", "--exclude=*.log", src, url)
    result = s3pp(*options, "--max-delete=2", f"--journal={journal}")
    assert (result.code, result.summary[:23]) == (3, "put 1 bytes in 1 files "), result
    counts = "3 of 4 objects would be, and --max-delete allows 2"
    assert result.err == f"s3pp: nothing is deleted from {url}/: {counts}\n"
    end = json.loads(journal.read_text().splitlines()[-1])
    assert (end["deleted"], end["not_deleted"]) == (0, counts)
    for most in ("59%", "0"):
        result = s3pp(*options, f"--max-delete={most}", "-qq")
        assert (result.code, len(moto_bucket.keys())) == (3, 6), result
        assert f"3 of 5 objects would be, and --max-delete allows {most}\n" in result.err
    result = s3pp(*options, "--max-delete=60%", "-q")
    assert (result.code, result.out, result.err) == (0, "", ""), result
    assert set(moto_bucket.keys()) == {"a", "new", "k.log"}


@pytest.mark.parametrize("verb", ["put", "get", "copy"])
def test_an_empty_source_empties_nothing_unless_told_to(
    s3pp: Run, moto: Store, moto_bucket: Bucket, tree: Tree, verb: str
) -> None:
    """An unmounted volume is an empty directory, a misspelt prefix has no keys."""
    there, dest = moto.bucket(), tree({"x": b"1", "d/y": b"2"}, "dest")
    there.fill({"x": b"1", "d/y": b"2"})
    source: object = tree({}) if verb == "put" else f"{moto_bucket.url}"
    place = dest if verb == "get" else there.url
    result = s3pp(verb, "--delete", source, place)
    assert result.code == 3, result
    assert "--delete-from-empty deletes all the same" in result.err
    assert (len(there.keys()), len(tree.read(dest))) == (2, 2)
    if verb != "put":
        source = f"{moto_bucket.url}/missing"
        result = s3pp(verb, "--delete", source, place)
        assert (result.code, len(there.keys()), len(tree.read(dest))) == (3, 2, 2), result
    result = s3pp(verb, "--delete", "--delete-from-empty", source, place)
    assert result.code == 0, result
    assert (list(dest.iterdir()) if verb == "get" else there.keys()) == []
    for words in ((), ("--dry-run",)):  # also where nothing is there: the first run of a job
        result = s3pp(verb, "--delete", "--json", *words, source, place)
        assert (result.code, result.err.count("\n")) == (3, 1), result
        assert result.events[-1]["not_deleted"].startswith(str(source))
        assert result.events[-1]["not_deleted"] in result.err


@pytest.mark.parametrize("verb", ["put", "get"])
def test_filters_that_select_nothing_are_named(
    s3pp: Run, moto_bucket: Bucket, tree: Tree, verb: str
) -> None:
    """Not an empty source: to let the destination be emptied would be the wrong advice."""
    src, dest = tree({"a": b"1"}), tree({"x": b"1"}, "dest")
    moto_bucket.fill({"p/a": b"1", "x": b"1"})
    place: object = dest if verb == "get" else moto_bucket.url
    source, noun = (src, "file") if verb == "put" else (f"{moto_bucket.url}/p", "object")
    for words in (("--include=b*",), ("--exclude=*", "--delete-excluded")):
        result = s3pp(verb, "--delete", *words, source, place)
        assert (result.code, moto_bucket.keys(), tree.read(dest)) == (3, ["p/a", "x"], {"x": b"1"})
        assert f": {source} has no {noun} that the filters select: check them\n" in result.err
        assert "from-empty" not in result.err
        assert "nothing to do" not in result.err


def test_a_source_of_nothing_but_a_fifo_is_described(
    s3pp: Run, moto_bucket: Bucket, tree: Tree
) -> None:
    src = tree({})
    os.mkfifo(src / "fifo")
    moto_bucket.put("x", b"1")
    result = s3pp("put", "--delete", src, moto_bucket.url)
    assert (result.code, moto_bucket.keys()) == (3, ["x"]), result
    assert f"{src} has no regular file, only what is not sent, such as FIFOs" in result.err
    assert "nothing to do" not in result.err


def test_a_destination_without_extraneous_names_needs_no_guard(
    s3pp: Run, moto_bucket: Bucket, tree: Tree
) -> None:
    result = s3pp("put", "--delete", "--max-delete=0", tree({"a": b"1"}), moto_bucket.url)
    assert (result.code, moto_bucket.keys()) == (0, ["a"]), result


def test_a_single_file_or_object_is_no_source(
    s3pp: Run, moto: Store, moto_bucket: Bucket, tree: Tree, tmp_path: Path
) -> None:
    src, there = tree({"a": b"1"}), moto.bucket()
    there.put("x", b"1")
    moto_bucket.put("k", b"1")
    out = tree({"x": b"1"}, "out")
    for words in (
        ("put", src / "a", there.url),
        ("get", f"{moto_bucket.url}/k", out),
        ("get", f"{moto_bucket.url}/k", out / "new"),
        ("copy", f"{moto_bucket.url}/k", there.url),
        ("copy", f"{moto_bucket.url}/k", f"{there.url}/new"),
    ):
        result = s3pp(words[0], "--delete", *words[1:])
        assert result.code == 2, result
        assert "is a single" in result.err
    assert (there.keys(), tree.read(out)) == (["x"], {"x": b"1"})


# get


def test_a_get_makes_the_directory_like_the_source(
    s3pp: Run, bucket: Bucket, tree: Tree, tmp_path: Path
) -> None:
    bucket.fill({"a": b"1", "d/b": b"2", "d-/c": b"3"})
    outside = tree({"precious": b"9"}, "outside")
    out = tree(
        {
            "a": b"1",
            "d/x": b"old",
            "e/f/g": b"5",
            "e/kept": Link("nowhere"),
            "h/i/j": b"6",
            "link": Link(str(outside)),
            "empty": None,
            os.fsdecode(b"no\xffkey"): b"7",
        },
        "out",
    )
    os.mkfifo(out / "fifo")
    result = s3pp("get", "--delete", "-v", bucket.url, out)
    assert result.code == 0, result
    left = sorted(str(path.relative_to(out)) for path in out.rglob("*"))
    odd = os.fsdecode(b"no\xffkey")
    assert left == sorted(
        ["a", "d", "d/b", "d-", "d-/c", "e", "e/kept", "link", "empty", "fifo", odd]
    )
    assert (out / "d/b").read_bytes() == b"2"
    assert tree.read(outside) == {"precious": b"9"}
    assert f"delete {out}/e/f/g (not in source)" in result.lines
    assert ", 3 deleted" in result.summary


def test_a_get_of_a_group_of_keys_concerns_files_that_begin_so(
    s3pp: Run, moto_bucket: Bucket, tree: Tree
) -> None:
    moto_bucket.fill({"p/logs-1": b"1", "p/other": b"2"})
    out = tree({"logs-0": b"0", "other": b"3", "d/logs-0": b"4"}, "out")
    result = s3pp("get", "--delete", f"{moto_bucket.url}/p/logs-*", out)
    assert result.code == 0, result
    assert tree.read(out) == {"logs-1": b"1", "other": b"3", "d/logs-0": b"4"}


def test_a_get_of_compressed_files_keeps_them(s3pp: Run, moto_bucket: Bucket, tree: Tree) -> None:
    """Names with the suffix that the run gives them; filters and sizes are those of objects."""
    moto_bucket.fill({"a": b"1", "b.gz": b"2", "c.log": b"3", "d": b"4" * 50})
    out = tree({"a": b"old", "c.log.gz": b"5", "d.gz": b"6", "gone.gz": b"7"}, "out")
    options = ("--gzip-suffix=.gz", "--exclude=*.log", "--max-size=9")
    result = s3pp("get", "--delete", "--json", *options, moto_bucket.url, out)
    assert result.code == 0, result
    assert {Path(name).name for name in deleted(result)} == {"a", "gone.gz"}
    assert {path.name for path in out.iterdir()} == {"a.gz", "b.gz", "c.log.gz", "d.gz"}


def test_what_is_in_the_way_of_a_get_is_named_and_kept(
    s3pp: Run, moto_bucket: Bucket, tree: Tree
) -> None:
    """A directory that has become an object, and the reverse: only the user can decide."""
    moto_bucket.fill({"d": b"1", "f/x": b"2"})
    held = {"d/y": b"3", "f": b"4", "old": b"5"}
    out = tree(held, "out")
    result = s3pp("get", "--delete", moto_bucket.url, out)
    assert (result.code, tree.read(out)) == (1, held), result
    assert "'d' is a directory here, and " in result.err
    assert "'f' is a file here, so nothing can go below it: move it away" in result.err
    assert result.err.count(": move it away") == 2
    why = "2 files failed: run the same command again once the cause is removed"
    assert f"nothing is deleted from {out}: {why}\n" in result.err
    for name in ("d", "f"):
        (out / name).rename(out.with_name(f"away-{name}"))
    result = s3pp("get", "--delete", moto_bucket.url, out)
    assert (result.code, tree.read(out)) == (0, {"d": b"1", "f/x": b"2"}), result


@pytest.mark.parametrize(("key", "pattern"), [("f/x", "f/x"), ("d//e", "d"), ("a/../b", "")])
def test_a_key_that_cannot_be_a_file_keeps_everything(
    s3pp: Run, moto_bucket: Bucket, tree: Tree, key: str, pattern: str
) -> None:
    """What failed may be what stands here under another name; excluded it is no failure."""
    moto_bucket.fill({"a": b"1", "f": b"2", key: b"3"})
    out = tree({"old": b"1"}, "out")
    result = s3pp("get", "--delete", moto_bucket.url, out)
    assert (result.code, "old" in tree.read(out)) == (1, True), result
    assert f"nothing is deleted from {out}: 1 file failed" in result.err
    if pattern:
        result = s3pp("get", "--delete", f"--exclude={pattern}", moto_bucket.url, out)
        assert (result.code, tree.read(out)) == (0, {"a": b"1", "f": b"2"}), result


def test_a_get_refuses_to_mirror_to_a_home(
    s3pp: Run, moto_bucket: Bucket, tmp_path: Path, tree: Tree
) -> None:
    moto_bucket.put("a", b"1")
    home = tree({"mine": b"1"}, "home")
    (tmp_path / "link").symlink_to(home)
    for directory in (home, tmp_path, tmp_path / "link", f"{home}/./", "/"):
        result = s3pp("get", "--delete", moto_bucket.url, directory, env={"HOME": str(home)})
        assert result.code == 2, result
        assert "name a directory in it" in result.err
    assert tree.read(home) == {"mine": b"1"}
    inside = home / "mirror"
    assert s3pp("get", "--delete", moto_bucket.url, inside, env={"HOME": str(home)}).code == 0


# copy


def test_a_copy_makes_the_destination_like_the_source(
    s3pp: Run, bucket: Bucket, store: Store
) -> None:
    dest = store.bucket()
    bucket.fill({"p/a": b"1", "p/d/b": b"2", "other": b"3"})
    dest.fill({"q/a": b"1", "q/x": b"4", "q/d/": b"", "q/d/b/c": b"5", "other": b"6"})
    result = s3pp("copy", "--delete", "--json", f"{bucket.url}/p", f"{dest.url}/q")
    assert result.code == 0, result
    assert deleted(result) == dict.fromkeys(("q/x", "q/d/", "q/d/b/c"), "not in source")
    assert dest.tree() == {"q/a": b"1", "q/d/b": b"2", "other": b"6"}


def test_a_copy_of_a_group_of_keys_concerns_keys_that_begin_so(
    s3pp: Run, moto_bucket: Bucket
) -> None:
    moto_bucket.fill({"p/logs-1": b"1", "q/logs-0": b"0", "q/other": b"2"})
    result = s3pp("copy", "--delete", f"{moto_bucket.url}/p/logs-*", f"{moto_bucket.url}/q")
    assert result.code == 0, result
    assert moto_bucket.keys() == ["p/logs-1", "q/logs-1", "q/other"]


def test_a_copy_never_deletes_its_source(s3pp: Run, moto_bucket: Bucket) -> None:
    """A source inside the destination would be extraneous there."""
    moto_bucket.fill({"p/q/a": b"1", "p/b": b"2"})
    result = s3pp("copy", "--delete", f"{moto_bucket.url}/p/q", f"{moto_bucket.url}/p")
    assert (result.code, moto_bucket.keys()) == (2, ["p/b", "p/q/a"]), result
    assert "lies inside" in result.err
    result = s3pp("copy", "--delete", f"{moto_bucket.url}/p", f"{moto_bucket.url}/p/q")
    assert result.code == 0, result
    assert moto_bucket.tree() == {"p/b": b"2", "p/q/b": b"2"}, "p/q/a was not in the source"
