"""``--shard K/N``: N runs do together what one does, and each of them no more than its part."""

from __future__ import annotations

import json
import os
import tarfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from commands import Result, Run
from conftest import MakeRecorder, Tree
from s3pp.shard import Shard, shard_of
from s3pp.sources.filters import key_bytes
from stores.store import Bucket, Store

N = 3
NAMES = [f"d{n % 3}/f{n}" for n in range(14)] + ["é/\U0001f600", "a b", "z"]


def runs(s3pp: Run, verb: str, *words: object, count: int = N) -> Iterator[Result]:
    """Run each shard; all of them have to end well."""
    for number in range(1, count + 1):
        result = s3pp(verb, f"--shard={number}/{count}", *words)
        assert result.code == 0, result
        yield result


def own(number: int, prefix: str = "") -> set[str]:
    return {name for name in NAMES if shard_of((prefix + name).encode(), N) == number}


def test_a_put_and_a_get_by_three_runs(
    s3pp: Run, moto: Store, moto_bucket: Bucket, tree: Tree, tmp_path: Path, recorder: MakeRecorder
) -> None:
    """The same as by one: names that conflict at the destination included."""
    src = tree({name: name.encode() for name in NAMES})
    for number in range(1, N + 1):
        journal = tmp_path / f"journal{number}"
        words = [f"--shard={number}/{N}", f"--journal={journal}", "--lock=auto"]
        result = s3pp("put", *words, src, f"{moto_bucket.url}/p")
        assert (result.code, result.counts.done) == (0, len(own(number, "p/"))), result
        assert result.summary.endswith(f", shard {number}/{N}")
        start, *done, summary = map(json.loads, journal.read_text().splitlines())
        assert (start["shard"], start["settings"]["shard"]) == (f"{number}/{N}",) * 2
        assert {each["key"].removeprefix("p/") for each in done} == own(number, "p/")
        assert (summary["listed"], summary["shard"]) == (len(done), f"{number}/{N}")
    assert moto_bucket.tree() == {f"p/{name}": name.encode() for name in NAMES}
    again = s3pp("retry", tmp_path / "journal2")
    assert (again.code, again.counts.skipped) == (0, len(own(2, "p/"))), again
    # ``p/z`` has to be a file, and so ``p/z/x``, which may be of another shard, can be none.
    below = [f"z/{n}" for n in range(6)]
    moto_bucket.fill({f"p/{name}": b"no" for name in below})
    out = tmp_path / "out"
    failed = 0
    for number in range(1, N + 1):
        result = s3pp("get", f"--shard={number}/{N}", f"{moto_bucket.url}/p", out)
        failed += result.counts.failed
    assert failed == len(below)
    assert tree.read(out) == {name: name.encode() for name in NAMES}
    # Nothing is asked about what is of other shards.
    between = recorder(moto)
    dest = moto.bucket().url
    result = s3pp("copy", "--shard=2/3", f"{moto_bucket.url}/p", dest, store=between.store)
    expected = len(own(2, "p/")) + sum(shard_of(f"p/{each}".encode(), N) == 2 for each in below)
    assert (result.code, result.counts.done, between.puts) == (0, expected, expected)


def test_lists_removals_and_other_sources(
    s3pp: Run, moto: Store, moto_bucket: Bucket, tree: Tree, tmp_path: Path
) -> None:
    src = tree(dict.fromkeys(NAMES, b"1"))
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        archive.add(src, arcname="")
    list(runs(s3pp, "put", "--walk=tar", tmp_path / "a.tar", moto_bucket.url))
    assert moto_bucket.keys() == sorted(NAMES, key=key_bytes)
    shown = [
        {each["key"] for each in result.events}
        for result in runs(s3pp, "list", "--json", moto_bucket.url)
    ]
    assert shown == [own(number) for number in range(1, N + 1)]
    names = tmp_path / "names"
    names.write_text("a b\nz\n./z\nd0/f0\n")
    for verb, dest in (("put", moto.bucket()), ("copy", moto.bucket())):
        source = src if verb == "put" else moto_bucket.url
        lines = names if verb == "put" else tmp_path / "keys"
        (tmp_path / "keys").write_text("a b\nz\nd0/f0\n")
        results = runs(s3pp, verb, f"--files-from={lines}", source, dest.url)
        assert (sum(each.counts.done for each in results), dest.keys()) == (
            3,
            ["a b", "d0/f0", "z"],
        )
    limited = runs(s3pp, "get", "--limit=1", moto_bucket.url, tmp_path / "limited")
    assert [each.counts.done for each in limited] == [1, 1, 1]
    alone = runs(s3pp, "get", f"{moto_bucket.url}/z", tmp_path / "z")
    assert sorted(each.counts.done for each in alone) == [0, 0, 1]
    assert (tmp_path / "z").read_bytes() == b"1"
    removed = list(runs(s3pp, "remove", "--all", "--max-delete=100%", "--json", moto_bucket.url))
    assert [each.events[-1]["deleted"] for each in removed] == [len(own(k)) for k in (1, 2, 3)]
    assert moto_bucket.keys() == []
    none = s3pp("list", "--shard=1/3", moto_bucket.url)
    assert "no objects found in shard 1/3: nothing to do" in none.err


def test_sources_that_give_one_name_conflict_across_shards(
    s3pp: Run, moto: Store, moto_bucket: Bucket
) -> None:
    """The one named first has it, whichever shards the two are in."""
    keys = [f"{top}/{n}" for top in "xy" for n in range(8)]
    moto_bucket.fill({key: key.encode() for key in keys})
    dest = moto.bucket()
    results = [
        s3pp("copy", f"--shard={k}/{N}", f"{moto_bucket.url}/x", f"{moto_bucket.url}/y", dest.url)
        for k in (3, 2, 1)
    ]
    assert [each.code for each in results].count(1) >= 1
    assert sum(each.counts.failed for each in results) == 8
    assert dest.tree() == {str(n): f"x/{n}".encode() for n in range(8)}


@pytest.mark.parametrize("verb", ["put", "get", "copy"])
def test_mirrors(
    s3pp: Run, moto: Store, moto_bucket: Bucket, tree: Tree, tmp_path: Path, verb: str
) -> None:
    """Each deletes its own part, and never what another has; an empty shard is no empty source."""
    kept = ["one"]  # of one shard: in the others the source has nothing
    gone = [f"old/{n}" for n in range(9)]
    if verb == "put":
        source: object = tree(dict.fromkeys(kept, b"1"))
    else:
        moto_bucket.fill(dict.fromkeys(kept, b"1"))
        source = moto_bucket.url
    dest = moto.bucket()
    out = tree(dict.fromkeys(gone, b"0"), "out")
    dest.fill(dict.fromkeys(gone, b"0"))
    place = out if verb == "get" else dest.url
    without = next(k for k in range(1, N + 1) if not Shard(k, N).has(b"one"))
    bounded = ["--delete", "--max-delete=99%", f"--shard={without}/{N}"]
    refused = s3pp(verb, *bounded, source, place)
    assert (refused.code, "and --max-delete allows 99%" in refused.err) == (3, True), refused
    for number, result in enumerate(runs(s3pp, verb, "--delete", "--json", source, place), 1):
        places = [each for each in result.events if each["event"] == "deleted"]
        names = [each.get("key") or os.path.relpath(each["path"], out) for each in places]
        assert names == [name for name in gone if Shard(number, N).has(name.encode())]
    assert (tree.read(out) if verb == "get" else dest.tree()) == {"one": b"1"}


def test_a_source_that_changes_between_the_runs(
    s3pp: Run, moto_bucket: Bucket, tree: Tree, tmp_path: Path
) -> None:
    """A name that comes, or goes, after the run of its shard has looked is for the next runs."""
    first, second = (next(name for name in NAMES if Shard(k, 2).has(name.encode())) for k in (1, 2))
    src = tree({second: b"moved"})
    journals = [tmp_path / f"journal{k}" for k in (1, 2)]
    words = ("put", "--delete", "--delete-from-empty", "--max-delete=100%", src, moto_bucket.url)
    moto_bucket.fill({second: b"moved"})
    assert s3pp(*words, "--shard=1/2", f"--journal={journals[0]}").code == 0
    (src / first).parent.mkdir(parents=True, exist_ok=True)
    (src / second).rename(src / first)
    assert s3pp(*words, "--shard=2/2", f"--journal={journals[1]}").code == 0
    assert moto_bucket.keys() == [], "each did what its shard had when it looked"
    merged = s3pp("merge", *journals)
    assert (merged.code, merged.err) == (0, ""), "journals know only what the runs have found"
    list(runs(s3pp, *words, count=2))
    assert moto_bucket.tree() == {first: b"moved"}


def test_names_of_a_list_that_exclude_each_other(
    s3pp: Run, moto_bucket: Bucket, tree: Tree, tmp_path: Path
) -> None:
    """Each run knows the listed names of its shard: the one that comes later fails, and says so."""
    below = next(f"z/{n}" for n in range(9) if shard_of(f"z/{n}".encode(), 2) != shard_of(b"z", 2))
    moto_bucket.fill({"z": b"1", below: b"2"})
    names = tmp_path / "names"
    names.write_text(f"z\n{below}\n")
    own = shard_of(b"z", 2)
    out = tmp_path / "out"
    words = ("get", f"--files-from={names}", moto_bucket.url, out)
    for number, code in ((own, 0), (3 - own, 1)):
        result = s3pp(*words, f"--shard={number}/2")
        assert (result.code, result.counts.failed) == (code, code), result
    assert below in result.err
    assert tree.read(out) == {"z": b"1"}


def test_plans_and_what_verifies_them(
    s3pp: Run, moto: Store, moto_bucket: Bucket, tmp_path: Path
) -> None:
    moto_bucket.fill(dict.fromkeys(NAMES, b"1"))
    dest = moto.bucket()
    for number in range(1, N + 1):
        plan = tmp_path / f"plan{number}"
        made = s3pp("copy", f"--shard={number}/{N}", f"--plan={plan}", moto_bucket.url, dest.url)
        assert made.code == 0, made
        applied = s3pp("apply", plan)
        assert applied.summary.endswith(f", shard {number}/{N}"), applied
        assert applied.counts.done == len(own(number))
    assert dest.keys() == sorted(NAMES, key=key_bytes)
    list(runs(s3pp, "verify", moto_bucket.url, dest.url))
    dest.fill({"extra": b"1"})
    codes = [s3pp("verify", f"--shard={k}/{N}", moto_bucket.url, dest.url).code for k in (1, 2, 3)]
    assert sorted(codes) == [0, 0, 1]


def test_merge_says_whether_all_is_done(
    s3pp: Run, moto: Store, moto_bucket: Bucket, tree: Tree, tmp_path: Path
) -> None:
    """What three runs have done; then a shard missing, killed, failed, twice, of another job."""
    src = tree({name: name.encode() for name in NAMES})
    journals = [str(tmp_path / f"journal{number}") for number in range(1, N + 1)]
    for number, journal in enumerate(journals, 1):
        words = [f"--shard={number}/{N}", f"--journal={journal}", src, moto_bucket.url]
        assert s3pp("put", *words).code == 0
    merged = tmp_path / "merged"
    result = s3pp("merge", "-o", merged, *journals)
    assert (result.code, result.err) == (0, ""), result
    size = sum(len(name.encode()) for name in NAMES)
    counts = f"{len(NAMES)} done ({size} bytes)"
    assert result.summary == f"merge 3 of 3 shards: {counts}: everything exactly once"
    assert [line.split(",")[0] for line in result.lines[:-1]] == [
        f"shard {number}/{N}: {len(own(number))} done" for number in range(1, N + 1)
    ]
    verified = s3pp("verify", merged)
    assert (verified.code, verified.counts.done) == (0, len(NAMES)), verified
    assert s3pp("merge", "--json", merged).events[0]["complete"], "one journal of all is the same"
    quiet = s3pp("merge", "-q", *journals)
    assert (quiet.code, quiet.out, quiet.err) == (0, "", "")
    lacking = s3pp("merge", "-q", *journals[:2])
    assert (lacking.code, len(lacking.lines), lacking.err.count("\n")) == (1, 1, 1)
    assert lacking.summary.startswith("merge 2 of 3 shards: ")
    refused = s3pp("merge", "-o", journals[0], *journals[1:])
    assert (refused.code, "exists: name another file" in refused.err) == (2, True)
    faults = partial(faults_of, s3pp)
    assert faults(journals[0], journals[2]) == [("missing", 2)]
    lines = Path(journals[1]).read_bytes().splitlines(keepends=True)
    killed = tmp_path / "killed"
    killed.write_bytes(b"".join(lines[:-1]) + lines[-1][:20])
    assert faults(journals[0], killed, journals[2]) == [("not ended", 2)]
    part = tmp_path / "part"  # as of a journal whose renamed file is not named
    part.write_bytes(b"".join([lines[0], *lines[2:]]))
    assert faults(journals[0], part, journals[2]) == [("lines lost", 2)]
    assert faults(journals[0], part, journals[1], journals[2]) == []
    again = tmp_path / "again"
    assert s3pp("put", "--shard=2/3", f"--journal={again}", src, moto_bucket.url).code == 0
    assert faults(*journals, again) == [("twice", 2)]
    assert faults(journals[0], again, journals[2]) == []
    other = tmp_path / "other"
    dest = f"{moto_bucket.url}/p"
    assert s3pp("put", "--shard=2/3", f"--journal={other}", src, dest).code == 0
    assert faults(journals[0], other, journals[2]) == [("different", 2)]
    whole = tmp_path / "whole"
    assert s3pp("put", f"--journal={whole}", src, moto_bucket.url).code == 0
    assert faults(whole) == [("no shard", None)]
    assert s3pp("merge", whole).summary == "merge: no run of a shard: incomplete"

    (twin := tmp_path / "twin").hardlink_to(whole)
    for named, why in (
        ((tmp_path / "none",), "none': file not found: name a file of --journal"),
        ((tmp_path,), "it is not a regular file: name a file of --journal"),
        ((whole, twin), "are one file: name it once"),
    ):
        wrong = s3pp("merge", *named)
        assert (wrong.code, why in wrong.err, wrong.err.count("\n")) == (2, True, 1), wrong
    nowhere = s3pp("merge", "-o", tmp_path / "none" / "merged", *journals)
    assert (nowhere.code, "its directory does not exist" in nowhere.err) == (2, True)
    assert s3pp("merge").code == 2


def test_a_shard_that_failed_is_complete_after_a_retry(
    s3pp: Run, moto_bucket: Bucket, tree: Tree, tmp_path: Path
) -> None:
    """A file that does not exist fails; it is there when the shard is retried."""
    src = tree({name: name.encode() for name in NAMES})
    missing = tmp_path / "names"
    missing.write_text("\n".join([*NAMES, "gone"]))
    number = shard_of(b"gone", N)
    named = [str(tmp_path / f"named{each}") for each in range(1, N + 1)]
    codes = [
        s3pp(
            "put",
            f"--shard={k}/{N}",
            f"--files-from={missing}",
            f"--journal={path}",
            src,
            moto_bucket.url,
        ).code
        for k, path in enumerate(named, 1)
    ]
    assert codes == [int(k == number) for k in range(1, N + 1)]
    assert faults_of(s3pp, *named) == [("failed", number), ("failed", None)]
    (src / "gone").write_bytes(b"")
    assert s3pp("retry", named[number - 1]).code == 0
    assert faults_of(s3pp, *named) == []


def faults_of(s3pp: Run, *journals: object) -> list[tuple[str, int | None]]:
    """What is wrong with the runs of ``journals``, and of which shard."""
    found = s3pp("merge", "--json", *journals)
    (event,) = found.events
    assert found.code == (1 if event["faults"] else 0)
    assert found.err.count("s3pp merge: ") == len(event["faults"])
    return [(each["fault"], each["shard"]) for each in event["faults"]]
