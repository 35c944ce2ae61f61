"""The journal and the log: whose they are, where they lead, and that every line is whole."""

from __future__ import annotations

import json
import os
import resource
import socket
import stat
import subprocess
from functools import partial
from pathlib import Path

from commands import Run, Start
from conftest import Tree
from stores.store import Bucket

EVENTS = ["start", "done", "summary"]


def kinds(journal: str) -> list[str]:
    """The events of a journal, but for its pace, of which there may be any number."""
    found = [json.loads(line)["event"] for line in journal.splitlines()]
    return [each for each in found if each != "pace"]


MEANT = b"what somebody else wanted to have lines appended to\n"


def mode(path: Path) -> str:
    return oct(stat.S_IMODE(path.stat().st_mode))


def test_what_others_could_read_is_narrowed_and_said(
    s3pp: Run, moto_bucket: Bucket, tree: Tree, tmp_path: Path
) -> None:
    src = tree({"a": b"1"})
    journal, log = tmp_path / "journal", tmp_path / "log"
    journal.touch(0o600)
    for path, bits in ((journal, 0o644), (log, 0o666)):
        path.touch()
        path.chmod(bits)
    words = ["--journal", journal, "--log-file", log, src, moto_bucket.url]
    result = s3pp("put", *words)
    assert result.code == 0
    assert {mode(journal), mode(log)} == {"0o600"}
    first, second = result.err.splitlines()
    assert first == (
        f"s3pp: --journal '{journal}' was open to other users (mode 0644): restricted to 0600"
    )
    assert "--log-file" in second
    assert s3pp("put", *words).err == ""


def test_a_link_that_others_may_have_put_there_is_refused(
    s3pp: Run, moto_bucket: Bucket, tree: Tree, tmp_path: Path
) -> None:
    src = tree({"a": b"1"})
    shared, mine = tmp_path / "shared", tmp_path / "mine"
    meant = tmp_path / "meant"
    meant.write_bytes(MEANT)
    for place in (shared, mine):
        place.mkdir()
        (place / "link").symlink_to(meant)
    (shared / "there").symlink_to(mine)
    shared.chmod(0o1777)
    for path in (shared / "link", shared / "there" / "new"):
        for option in ("--journal", "--log-file"):
            result = s3pp("put", option, path, src, moto_bucket.url)
            assert (result.code, result.out, result.err.count("\n")) == (2, "", 1)
            assert f"{option} '{path}'" in result.err
            assert "is a symbolic link in a directory that other users can change" in result.err
    assert (meant.read_bytes(), moto_bucket.keys()) == (MEANT, [])
    assert not (mine / "new").exists()
    result = s3pp("put", "-qq", "--log-file", mine / "link", src, moto_bucket.url)
    assert result.code == 0
    assert meant.read_bytes().startswith(MEANT + b"2")  # a link of one's own leads where it did


def test_a_named_pipe_or_a_socket_is_refused(
    s3pp: Run, moto_bucket: Bucket, tree: Tree, tmp_path: Path
) -> None:
    src, pipe, link = tree({"a": b"1"}), tmp_path / "pipe", tmp_path / "link"
    os.mkfifo(pipe)
    link.symlink_to(pipe)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "socket"))
        for option in ("--journal", "--log-file"):
            for path in (pipe, link, tmp_path / "socket"):
                result = s3pp("put", option, path, src, moto_bucket.url, timeout=20)
                told = f"s3pp: {option} '{path}' is a named pipe or a socket: name a file\n"
                assert (result.code, result.out, result.err) == (2, "", told)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    assert s3pp("put", "--journal", pipe, src, moto_bucket.url, timeout=20).code == 2
    os.close(reader)
    assert moto_bucket.keys() == []


def test_what_is_open_already_is_taken_as_it_is(
    s3pp_start: Start, moto_bucket: Bucket, tree: Tree, tmp_path: Path
) -> None:
    src, kept = tree({"a": b"1"}), tmp_path / "kept"
    kept.touch()
    kept.chmod(0o644)
    words = ["put", "--mode=stupid", src, moto_bucket.url, "--log-file", "/dev/null", "--journal"]
    with kept.open("ab") as stderr:
        assert s3pp_start(*words, "/dev/stderr", stderr=stderr).popen.wait(60) == 0
    assert mode(kept) == "0o644"
    assert kinds(kept.read_text()) == EVENTS
    piped = s3pp_start(*words, "/dev/stderr", stderr=subprocess.PIPE).popen
    assert piped.stderr is not None
    with piped.stderr:
        told = piped.stderr.read().decode()
    assert piped.wait(60) == 0
    assert kinds(told) == EVENTS


# Which stream goes to the file, and how lines begin: those of a journal or log, and printed ones.
SHARED = {
    ("--journal", "/dev/fd/1"): ("stdout", {"{": 4, "put ": 2}),
    ("--log-file", "kept"): ("stdout", {"20": 3, "put ": 2}),
    ("--journal", "kept"): ("stderr", {"{": 4, "s3pp: ": 1}),
    ("--log-file", "/dev/stderr"): ("stderr", {"20": 3, "s3pp: ": 1}),
}


def test_a_file_that_is_also_a_standard_stream_keeps_every_line(
    s3pp_start: Start, moto_bucket: Bucket, tree: Tree, tmp_path: Path
) -> None:
    src, kept = tree({"a": b"1"}), tmp_path / "kept"
    (src / "broken").symlink_to("nowhere")
    kept.touch(0o600)
    for words, (name, beginnings) in SHARED.items():
        with kept.open("wb") as stream:
            running = s3pp_start(
                "put", "--mode=stupid", "-v", *words, src, moto_bucket.url, **{name: stream}
            )
            assert running.wait().code == 1
        lines = kept.read_text().splitlines()
        counts = {each: sum(line.startswith(each) for line in lines) for each in beginnings}
        assert (counts, len(lines)) == (beginnings, sum(beginnings.values())), lines


def test_a_full_disk_leaves_no_line_that_is_cut(
    s3pp: Run, moto_bucket: Bucket, tree: Tree, tmp_path: Path
) -> None:
    src = tree({f"f{n}": b"1" for n in range(9)})
    journal = tmp_path / "journal"
    words = ["--journal", journal, src, moto_bucket.url]
    full = s3pp("put", *words, preexec_fn=partial(at_most, 400))
    assert full.code == 3
    assert full.summary.startswith("put ")  # and so it is without a journal
    assert "File too large" in full.err
    assert journal.stat().st_size == 0  # the first line does not fit
    assert s3pp("put", *words).code == 0
    kinds = [json.loads(line)["event"] for line in journal.read_text().splitlines()]
    assert (kinds[0], kinds[-1], "cut" in kinds) == ("start", "summary", False)


def test_a_log_that_cannot_be_written_is_not_worth_a_run(
    s3pp: Run, moto_bucket: Bucket, tree: Tree, tmp_path: Path
) -> None:
    """Whether it fills on the way or, with a line to make whole, when it is opened."""
    src = tree({f"f{n}": b"1" for n in range(9)})
    log = tmp_path / "log"
    for beginning, quiet in ((b"", []), (b"x" * 400, []), (b"x" * 400, ["-q"])):
        log.write_bytes(beginning)
        log.chmod(0o600)
        words = [*quiet, "--mode=stupid", "--log-file", log, src, moto_bucket.url]
        result = s3pp("put", *words, preexec_fn=partial(at_most, 400))
        assert result.code == 0
        assert quiet or result.counts.done == 9
        assert result.err == (
            f"s3pp: --log-file '{log}': writing failed: File too large:"
            " the log ends here; the run continues\n"
        )
        rest = log.read_bytes().removeprefix(beginning)
        assert rest == b"" or (not beginning and rest.endswith(b"\n"))


def at_most(size: int) -> None:
    """No file may grow beyond ``size`` bytes: what a quota does, or a full disk."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
