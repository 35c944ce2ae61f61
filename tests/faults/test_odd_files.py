"""What a tree may hold beside ordinary files with ordinary names. Rows 33-35 of the catalogue."""

from __future__ import annotations

import os
import socket
from contextlib import suppress
from pathlib import Path

import pytest

from faults.accounting import check_all_done, ending
from faults.trials import PutTrial

REST = {"a": 100, "m/n": 100, "z": 100}


def make_special(directory: Path) -> set[str]:
    """A FIFO, a socket, a link to a device and, where we may, a device; return their names."""
    os.mkfifo(directory / "fifo")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(directory / "socket"))
    (directory / "null").symlink_to("/dev/null")
    with suppress(PermissionError):
        os.mknod(directory / "device", 0o020600, os.makedev(1, 3))
    return {path.name for path in directory.iterdir() if not path.is_file() and not path.is_dir()}


@pytest.mark.thorough
def test_special_files_are_skipped_with_a_reason(moto_trial: PutTrial, tmp_path: Path) -> None:
    moto_trial.tree(REST)
    special = make_special(moto_trial.source)
    assert special >= {"fifo", "socket", "null"}
    end = moto_trial.run(timeout=20)
    assert end.code == 0
    assert end.reasons == dict.fromkeys(special, "not a regular file")
    assert end.done.keys() == REST.keys()


def link(trial: PutTrial, links: dict[str, str]) -> None:
    """Add symbolic links to the source tree, by name and target."""
    for name, target in links.items():
        (trial.source / name).symlink_to(target)


@pytest.mark.thorough
def test_link_loops_end(moto_trial: PutTrial) -> None:
    moto_trial.tree(REST)
    links = {"m/up": "..", "self": ".", "above": ".."}
    link(moto_trial, links)
    end = moto_trial.run(timeout=20)
    assert end.code == 0
    assert end.reasons == dict.fromkeys(links, "symbolic link loop")
    assert moto_trial.bucket.keys() == sorted(REST)


def test_a_link_to_the_root_is_not_entered(moto_trial: PutTrial) -> None:
    moto_trial.tree(REST)
    link(moto_trial, {"b": "/"})
    running = moto_trial.start("--dry-run", "--limit=50")
    end = ending(running.wait(20), moto_trial.journal)
    assert end.done.keys() == REST.keys()
    assert end.reasons == {"b": "symbolic link loop"}


@pytest.mark.thorough
def test_broken_links_fail_by_name(moto_trial: PutTrial) -> None:
    moto_trial.tree(REST)
    links = {"gone": "nowhere", "m/ring": "../gnir", "gnir": "m/ring"}
    link(moto_trial, links)
    end = moto_trial.run(timeout=20)
    assert end.code == 1
    assert end.failed.keys() == links.keys()
    assert end.kinds["gone"] == "not-found"
    assert end.done.keys() == REST.keys()


@pytest.mark.thorough
def test_links_are_followed_unless_told_otherwise(moto_trial: PutTrial) -> None:
    moto_trial.tree(REST)
    link(moto_trial, {"b": "a", "c": "m"})
    followed = moto_trial.run()
    assert followed.done.keys() == {*REST, "b", "c/n"}
    left = moto_trial.run("--no-follow-symlinks", "--mode=stupid")
    assert left.code == 0
    assert left.reasons == {"b": "symbolic link", "c": "symbolic link"}
    assert left.done.keys() == REST.keys()


ODD_NAMES = [
    "control\x01\x1b[31m",
    "trailing space ",
    " leading",
    "back\\slash",
    "per%cent+plus&amp;?#",
    "'\"<>",
    "l" * 255,
    "é" * 127,
    "\N{PILE OF POO}\N{ZERO WIDTH JOINER}",
    "-rf",
    "...",
]


@pytest.mark.thorough
def test_odd_names_arrive_as_they_are(trial: PutTrial) -> None:
    names = ODD_NAMES + (["new\nline"] if trial.bucket.store.name == "swift" else [])
    contents = trial.tree({**dict.fromkeys(names, 50), **REST})
    check_all_done(trial.run(), trial.bucket, contents)
    again = trial.run("--mode=update")
    assert set(again.reasons.values()) == {"same etag"}
    assert again.skipped.keys() == contents.keys()


@pytest.mark.parametrize("mode", ["stupid", "update"])
def test_names_that_are_not_utf8_fail_alone(moto_trial: PutTrial, mode: str) -> None:
    moto_trial.tree(REST)
    odd = [b"caf\xe9", b"\xff\xfe", b"m/\x80.txt"]
    for name in odd:
        Path(os.fsdecode(os.fsencode(moto_trial.source) + b"/" + name)).write_bytes(b"x")
    end = moto_trial.run(f"--mode={mode}")
    assert end.code == 1
    assert sorted(end.kinds.values()) == ["name"] * 3
    sources = {os.fsencode(record["source"]) for record in end.failed.values()}
    assert sources == {os.fsencode(moto_trial.source) + b"/" + name for name in odd}
    assert end.done.keys() == REST.keys()
    # Told in print that any terminal and any UTF-8 file takes.
    assert "caf\\xe9" in end.result.err


def test_a_key_that_is_too_long_fails_alone(trial: PutTrial) -> None:
    deep = "/".join(["d" * 200] * 5 + ["f" * 30])
    trial.tree({**REST, deep: 10})
    end = trial.run()
    assert (end.code, end.kinds) == (1, {deep: "name"})
    assert end.done.keys() == REST.keys()
