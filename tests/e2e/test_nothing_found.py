"""Runs that find nothing to act on: all verbs treat an empty source, a missing prefix and filters
that select nothing alike. A name that does not exist is wrong usage.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from commands import Run
from conftest import Tree
from stores.store import Bucket

KINDS = {"put": "files", "clean": "unfinished uploads"}
NONE = ["--exclude", "*"]


@pytest.mark.parametrize("verb", ["get", "put", "copy", "move", "list", "remove", "clean"])
def test_all_that_finds_nothing_is_alike(
    s3pp: Run, moto_bucket: Bucket, tree: Tree, tmp_path: Path, verb: str
) -> None:
    """A notice, and exit code 0; with ``--fail-if-empty`` an error, and exit code 1."""
    filled, empty = tree({"a": b"1"}), tmp_path / "nothing"
    empty.mkdir()
    moto_bucket.put("p/a", b"1")
    url, kind = moto_bucket.url, KINDS.get(verb, "objects")
    to = {
        "get": [str(tmp_path / "new")],
        "put": [f"{url}/q"],
        "copy": [f"{url}/q"],
        "move": [f"{url}/q"],
    }.get(verb, [])
    sources = {"put": [str(empty)]}.get(verb, [f"{url}/none/", f"{url}/none*"])
    cases: list[tuple[list[str], str]] = [([], each) for each in sources]
    cases.append((NONE, str({"put": filled}.get(verb, f"{url}/p"))))
    for words, source in cases:
        run = s3pp(verb, *words, source, *to)
        assert (run.code, run.err.count("\n")) == (0, 1), run.err
        what = f"no {kind} found{' that the filters select' if words else ''}"
        place = source.removesuffix("/")
        assert run.err.startswith(f"s3pp: {verb} {place}: {what}: nothing to do (--fail-if-empty")
        failed = s3pp(verb, "-q", "--fail-if-empty", *words, source, *to)
        assert (failed.code, failed.err) == (
            1, f"s3pp: {verb} {place}: {what}, and --fail-if-empty requires some\n"
        )  # fmt: skip
        assert s3pp(verb, "-q", *words, source, *to).err == ""
    if verb != "put":  # what is to be deleted, or ended, may be gone already
        missing = s3pp(verb, f"{url}/none", *to)
        named = verb in ("get", "copy", "list")
        assert (missing.code, missing.err.count("\n")) == (2 if named else 0, 1)
        advice = "check the name; one that ends in / may have none" if named else "nothing to do"
        assert advice in missing.err
    if verb == "get":
        new = tmp_path / "new"
        new.rmdir()  # created for the prefix whose objects the filters exclude, and for none*
        assert s3pp("get", f"{url}/none/", new).code == 0
        assert not new.exists()  # it could be the name of a single file
    assert moto_bucket.tree() == {"p/a": b"1"}


def test_what_is_found_is_not_nothing(
    s3pp: Run, moto_bucket: Bucket, tree: Tree, tmp_path: Path
) -> None:
    """Objects that are skipped, or fail, are found; what can be no object is not."""
    src, log = tree({"a": b"1"}), tmp_path / "log"
    words = ["put", "--fail-if-empty", "--log-file", log]
    for _ in range(2):  # the second time all is skipped
        result = s3pp(*words, src, moto_bucket.url)
        assert (result.code, result.err) == (0, "")
    (src / "a").unlink()
    (src / "link").symlink_to("nowhere")
    broken = s3pp(*words, src, moto_bucket.url)
    assert (broken.code, "no files found" in broken.err) == (1, False)
    (src / "link").unlink()
    none = s3pp(*words, "--dry-run", "--json", src, moto_bucket.url)
    assert (none.code, none.events[-1]["listed"]) == (1, 0)
    assert "no files found, and --fail-if-empty requires some" in log.read_text()
    missing = s3pp(*words, src / "gone", moto_bucket.url)
    assert (missing.code, "does not exist" in missing.err) == (2, True)
    stream = s3pp(*words, "-", f"{moto_bucket.url}/x", stdin=b"")
    assert (stream.code, "--fail-if-empty is about many objects" in stream.err) == (2, True)
