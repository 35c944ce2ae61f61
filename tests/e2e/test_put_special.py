"""What is in a tree beside regular files: links, loops, pipes, sockets, what cannot be read."""

from __future__ import annotations

import os
import socket

import pytest

from commands import Result, Run, as_anybody
from conftest import Tree
from stores.store import Bucket
from trees import Content, Link


def by_outcome(result: Result) -> dict[tuple[str, str], list[str]]:
    """{(event, reason or kind): [base name of the source, ...]} from --json."""
    found: dict[tuple[str, str], list[str]] = {}
    for event in result.events:
        if event["event"] in ("done", "skipped", "failed"):
            why = event["kind"] if event["event"] == "failed" else event["reason"]
            name = os.path.basename(event["source"])
            found.setdefault((event["event"], why), []).append(name)
    return {outcome: sorted(names) for outcome, names in found.items()}


def test_links_are_followed_loops_skipped_and_broken_links_fail(
    s3pp: Run, moto_bucket: Bucket, tree: Tree
) -> None:
    tree({"inside": b"beyond"}, "outside")
    links: dict[str, Content] = {
        "real/f": b"1",
        "to-file": Link("real/f"),
        "to-dir": Link("real"),
        "out": Link("../outside"),
        "real/up": Link(".."),
        "self": Link("self"),
        "broken": Link("nowhere"),
    }
    result = s3pp("put", "--json", tree(links), moto_bucket.url)
    outcomes = by_outcome(result)
    assert result.code == 1
    assert moto_bucket.tree() == {
        "real/f": b"1",
        "to-file": b"1",
        "to-dir/f": b"1",
        "out/inside": b"beyond",
    }
    assert outcomes.pop(("done", "new")) == ["f", "f", "inside", "to-file"]
    assert "broken" in outcomes.pop(("failed", "not-found"))
    assert "broken" in result.err
    # A link to itself is broken to some systems and a loop to others; both is a right answer.
    assert set(outcomes.pop(("skipped", "symbolic link loop"))) <= {"up", "self"}
    assert outcomes == {}


def test_links_can_be_left_alone(s3pp: Run, moto_bucket: Bucket, tree: Tree) -> None:
    src = tree({"f": b"1", "l": Link("f"), "d": Link("."), "broken": Link("nowhere")})
    result = s3pp("put", "--json", "--no-follow-symlinks", src, moto_bucket.url)
    assert result.code == 0
    assert by_outcome(result) == {
        ("done", "new"): ["f"],
        ("skipped", "symbolic link"): ["broken", "d", "l"],
    }
    assert moto_bucket.keys() == ["f"]


def test_a_link_as_the_source_itself_is_followed(
    s3pp: Run, moto_bucket: Bucket, tree: Tree
) -> None:
    src = tree({"real/f": b"1", "link": Link("real"), "file": Link("real/f")})
    assert s3pp("put", src / "link", src / "file", moto_bucket.url).code == 0
    assert moto_bucket.tree() == {"f": b"1", "file": b"1"}


def test_pipes_and_sockets_are_skipped_with_a_reason(
    s3pp: Run, moto_bucket: Bucket, tree: Tree, monkeypatch: pytest.MonkeyPatch
) -> None:
    src = tree({"f": b"1"})
    os.mkfifo(src / "pipe")
    monkeypatch.chdir(src)  # socket paths are short
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("sock")
    result = s3pp("put", "--json", src, moto_bucket.url)
    assert result.code == 0
    assert by_outcome(result) == {
        ("done", "new"): ["f"],
        ("skipped", "not a regular file"): ["pipe", "sock"],
    }
    plain = s3pp("put", src, moto_bucket.url)
    assert (plain.code, plain.counts.skipped) == (0, 3)
    assert "pipe" in plain.err
    assert "sock" in plain.err
    listed = s3pp("put", "--dry-run", src, moto_bucket.url)  # stdout has them
    assert (listed.err, listed.out.count("(not a regular file)")) == ("", 2)


def test_what_cannot_be_read_fails_and_the_run_goes_on(
    s3pp: Run, moto_bucket: Bucket, tree: Tree
) -> None:
    src = tree({"a": b"1", "closed": b"2", "shut/inner": b"3", "z": b"4"})
    (src / "closed").chmod(0)
    (src / "shut").chmod(0)
    try:
        result = s3pp("put", "--json", src, moto_bucket.url, preexec_fn=as_anybody)
    finally:
        (src / "shut").chmod(0o700)
    assert result.code == 1
    assert by_outcome(result) == {
        ("done", "new"): ["a", "z"],
        ("failed", "unreadable"): ["closed", "shut"],
    }
    assert moto_bucket.keys() == ["a", "z"]
