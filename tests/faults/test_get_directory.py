"""The directory: links in it, full disks, permissions, and others at work. Rows 38, 41, 42, 57, 62.

A trial verifies that nothing is written outside DIRECTORY, and that no temporary file is left.
"""

from __future__ import annotations

import ctypes
import os
import resource
import stat
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest

from commands import ROOT, as_anybody
from faults.accounting import ending
from faults.trials import GetTrial
from stores.fault_actions import Delay, Gate, Stall
from stores.fault_proxy import Rule

MEBIBYTE = 1 << 20

# Links


def link(trial: GetTrial, name: str, target: Path) -> Path:
    """Put a link into the directory; make the directory it leads to."""
    trial.directory.mkdir(parents=True, exist_ok=True)
    target.mkdir(exist_ok=True)
    (trial.directory / name).symlink_to(target)
    return target


@pytest.mark.parametrize("options", [(), ("--follow-symlinks",)], ids=["default", "follow"])
def test_a_link_that_leads_out_is_not_passed(moto_get: GetTrial, options: tuple[str, ...]) -> None:
    contents = moto_get.fill({"a": 50, "out/b": 50, "out/c/d": MEBIBYTE, "out/e/": 0, "z": 50})
    outside = link(moto_get, "out", moto_get.surroundings / "outside")
    (outside / "b").write_text("another's")
    for mode in ("update", "stupid", "add"):
        end = moto_get.run(f"--mode={mode}", *options)
        assert (end.code, end.kinds) == (
            1,
            dict.fromkeys(["out/b", "out/c/d", "out/e/"], "conflict"),
        )
    assert moto_get.files() == {key: contents[key] for key in "az"}


def test_a_link_that_stays_inside_is_followed_if_asked(moto_get: GetTrial) -> None:
    contents = moto_get.fill({"a": 50, "in/b": 50})
    link(moto_get, "in", moto_get.directory / "real")
    end = moto_get.run()
    assert (end.code, end.kinds) == (1, {"in/b": "conflict"})
    running = moto_get.start("--follow-symlinks")
    end = ending(running.wait(60), moto_get.journal)
    assert end.code == 0
    assert moto_get.files() == {"a": contents["a"], "real/b": contents["in/b"]}


def test_directory_itself_may_be_a_link(moto_get: GetTrial) -> None:
    contents = moto_get.fill({"a": 50, "b/c": 50})
    real = moto_get.directory
    real.mkdir(parents=True)
    moto_get.directory = real.with_name("link")
    moto_get.directory.symlink_to(real)
    assert ending(moto_get.start().wait(60), moto_get.journal).code == 0
    moto_get.directory = real
    assert moto_get.files() == contents


def test_a_directory_swapped_for_a_link_while_a_body_comes(moto_get: GetTrial) -> None:
    moto_get.fill({"sub/small": 50, "sub/large": MEBIBYTE})
    outside = moto_get.surroundings / "outside"
    outside.mkdir(parents=True)
    moto_get.stand({"sub/kept": 10})
    gate = Gate()
    moto_get.inject(Rule(gate, "GET", "/sub/"))
    running = moto_get.start()
    moto_get.proxy.wait_for(4, "GET")  # the probe, the listing, and both objects
    sub = moto_get.directory / "sub"
    sub.rename(moto_get.directory / "moved")
    sub.symlink_to(outside)
    time.sleep(1.5)  # longer than an open directory is trusted
    gate.open()
    result = running.wait(60)
    end = ending(result, moto_get.journal)
    assert (end.code, end.kinds) == (1, {"sub/small": "conflict", "sub/large": "conflict"})
    assert list(outside.iterdir()) == []
    assert moto_get.temporaries() == []


def exchange(one: Path, other: Path) -> None:
    """Swap two names in one step, so that neither is missing in between."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.renameat2(-100, os.fsencode(one), -100, os.fsencode(other), 2):  # RENAME_EXCHANGE
        pytest.skip(f"no renameat2 here: {os.strerror(ctypes.get_errno())}")


@contextmanager
def swapping(one: Path, other: Path) -> Iterator[None]:
    """Swap two names over and over; leave them as they were."""
    ended = threading.Event()

    def swap() -> None:
        while not ended.wait(0.001):
            exchange(one, other)
            exchange(other, one)

    thread = threading.Thread(target=swap)
    thread.start()
    yield
    ended.set()
    thread.join()


def test_a_directory_swapped_for_a_link_over_and_over(moto_get: GetTrial) -> None:
    files = {f"sub/f{n:03d}": 1000 for n in range(80)} | {"sub/large": MEBIBYTE, "z": 50}
    contents = moto_get.fill(files)
    link(moto_get, "link", moto_get.surroundings / "outside")
    sub = moto_get.directory / "sub"
    sub.mkdir()
    exchange(sub, moto_get.directory / "link")
    exchange(sub, moto_get.directory / "link")
    moto_get.inject(Rule(Delay(0.01), "GET", "/sub/"))
    running = moto_get.start()  # which looks at what is there: nothing may be moving yet
    with swapping(sub, moto_get.directory / "link"):
        result = running.wait(60)
    end = ending(result, moto_get.journal)
    moto_get.check(end)  # nothing outside, and what is done is where it was promised
    assert set(end.kinds.values()) <= {"conflict"}
    assert end.done["z"]
    assert moto_get.files().items() <= contents.items()


# Full disks, and limits


@pytest.fixture
def mount(tmp_path: Path) -> Iterator[Callable[[Path, str], None]]:
    """``mount(directory, "size=3m")``: a small file system in memory, as long as the test lasts."""
    mounted: list[Path] = []

    def begin(directory: Path, options: str) -> None:
        directory.mkdir(parents=True)
        command = ["mount", "-t", "tmpfs", "-o", options, "s3pp-test", str(directory)]
        if subprocess.run(command, capture_output=True).returncode:
            pytest.skip("nothing can be mounted here")
        mounted.append(directory)

    yield begin
    for directory in mounted:
        subprocess.run(["umount", "-l", str(directory)], check=True)


@pytest.mark.parametrize("options", ["size=3m", "size=8m,nr_inodes=6"], ids=["bytes", "inodes"])
def test_a_full_disk_ends_the_run(
    moto_get: GetTrial, mount: Callable[[Path, str], None], options: str
) -> None:
    contents = moto_get.fill({"0": 3000} | {f"f{n}/g": 700_000 + n for n in range(8)})
    mount(moto_get.directory, options)
    moto_get.stand({"0": "the old file"})
    end = moto_get.run("--processes=1", "--concurrency=2")
    assert end.code == 3
    (line,) = end.result.err.splitlines()  # for however many objects were in flight
    assert "No space left on device" in line
    assert str(moto_get.directory) in line
    assert moto_get.temporaries() == []
    got = moto_get.files()
    assert got.items() <= contents.items()
    assert 0 < len(end.done) < len(contents)


def test_a_full_disk_keeps_the_old_file(
    moto_get: GetTrial, mount: Callable[[Path, str], None]
) -> None:
    moto_get.fill({"large": 2_500_000})
    mount(moto_get.directory, "size=3m")
    before = moto_get.stand({"large": 2_000_000})
    assert moto_get.run().code == 3
    assert moto_get.files() == before


def limit(what: int, most: int) -> None:
    resource.setrlimit(what, (most, most))


def test_a_limit_on_the_size_of_files_fails_those_beyond(moto_get: GetTrial) -> None:
    contents = moto_get.fill({"a": 3000, "b": 200_000, "large": MEBIBYTE, "z": 50})
    before = moto_get.stand({"large": "the old file"})
    small = partial(limit, resource.RLIMIT_FSIZE, 100_000)
    end = moto_get.run(preexec_fn=small)
    assert (end.code, end.kinds) == (1, {"b": "too-large", "large": "too-large"})
    assert moto_get.files() == {**before, "a": contents["a"], "z": contents["z"]}


def test_a_directory_that_may_not_be_written(moto_get: GetTrial) -> None:
    contents = moto_get.fill({"a": 50, "no/b": 50, "no/c/d": 50, "no/e": MEBIBYTE})
    before = moto_get.stand({"no/kept": 10})
    (moto_get.directory / "no").chmod(0o555)
    end = moto_get.run(preexec_fn=as_anybody)
    (moto_get.directory / "no").chmod(0o755)
    assert (end.code, end.kinds) == (1, dict.fromkeys(["no/b", "no/c/d", "no/e"], "unreadable"))
    assert moto_get.files() == {**before, "a": contents["a"]}


def test_nothing_at_all_may_be_written(moto_get: GetTrial) -> None:
    """The run ends, with one line; what is there already is recognised all the same."""
    moto_get.fill({"a": 50})
    assert moto_get.run().code == 0
    before = moto_get.files()
    moto_get.directory.chmod(0o555)
    same = moto_get.run(preexec_fn=as_anybody)
    assert (same.code, len(same.skipped)) == (0, 1)
    moto_get.fill({f"new/{n}" if n % 2 else f"{n}": 50 for n in range(300)})
    end = moto_get.run(preexec_fn=as_anybody)
    moto_get.directory.chmod(0o755)
    assert (end.code, set(end.kinds.values())) == (3, {"unreadable"})
    (line,) = end.result.err.splitlines()
    said = f"s3pp: nothing can be written in '{moto_get.directory}': Permission denied: make it"
    assert line.startswith(said)
    assert end.summary["not_attempted"] > 0
    assert moto_get.files() == before


@pytest.mark.parametrize("size", [2000, 400_000], ids=["held", "streamed"])
def test_few_descriptors_are_enough(moto_get: GetTrial, size: int) -> None:
    contents = moto_get.fill({f"d{n % 90}/f{n:03d}": size for n in range(180)})
    few = partial(limit, resource.RLIMIT_NOFILE, 64)
    end = moto_get.run("--concurrency=512", preexec_fn=few)
    assert end.code == 0, end.result.err
    assert moto_get.files() == contents
    assert "Too many open files" not in end.result.err


# Permissions


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def arriving(trial: GetTrial) -> list[str]:
    """The temporary files of the object ``large``: the walker makes one of its own, to probe."""
    found = trial.temporaries()
    return [name for name in found if Path(name).name.startswith("large.s3pp-")]


@pytest.mark.parametrize("umask", [0o022, 0o077])
def test_new_files_are_as_the_umask_has_them(moto_get: GetTrial, umask: int) -> None:
    moto_get.fill({"d/a": 50, "d/large": MEBIBYTE, "e/": 0})
    assert moto_get.run(umask=umask).code == 0
    at = moto_get.directory
    assert [mode_of(at / name) for name in ("d/a", "d/large")] == [0o666 & ~umask] * 2
    assert [mode_of(at / name) for name in ("d", "e")] == [0o777 & ~umask] * 2


def test_replaced_files_keep_their_permissions(moto_get: GetTrial) -> None:
    moto_get.fill({"a": 50, "large": MEBIBYTE, "special": 50})
    moto_get.stand({"a": "old", "large": "old", "special": "old"})
    for name, mode in {"a": 0o640, "large": 0o604, "special": 0o6755}.items():
        (moto_get.directory / name).chmod(mode)
    assert moto_get.run(umask=0).code == 0
    modes = [mode_of(moto_get.directory / name) for name in ("a", "large", "special")]
    assert modes == [0o640, 0o604, 0o755]


@pytest.mark.parametrize(("old", "umask"), [(0o600, 0), (None, 0o077), (None, 0o022)])
def test_a_file_on_its_way_is_open_to_nobody_else(
    moto_get: GetTrial, old: int | None, umask: int
) -> None:
    contents = moto_get.fill({"large": MEBIBYTE})
    if old is not None:
        moto_get.stand({"large": "old"})
        (moto_get.directory / "large").chmod(old)
    moto_get.inject(Rule(Stall(1.0), "GET", "/large$"))
    running = moto_get.start(umask=umask)
    seen: set[int] = set()
    while running.popen.poll() is None:
        try:
            seen |= {mode_of(moto_get.directory / name) for name in arriving(moto_get)}
        except FileNotFoundError:  # it has its name by now
            continue
        time.sleep(0.01)
    end = moto_get.end(running)
    assert moto_get.files() == contents
    final = mode_of(moto_get.directory / "large")
    assert seen, "no temporary file was seen"
    assert not any(mode & ~final for mode in seen), (end.code, seen)


# Mounts that are unlike a disk


IN_RANGES = ("--part-size=5M", "--multipart-threshold=5M")


def mounted_so(path: Path, script: str) -> dict[str, str]:
    """The environment of a command that every process of begins with this."""
    path.mkdir()
    (path / "sitecustomize.py").write_text(script)
    return {"PYTHONPATH": f"{path}:{ROOT}"}


@pytest.mark.parametrize("options", [(), ("--no-resume",)], ids=["default", "no-resume"])
def test_one_that_shows_another_owner(
    moto_get: GetTrial, tmp_path: Path, options: tuple[str, ...]
) -> None:
    """As NFS does with root_squash, and FAT or SMB with uid=: what we make is not ours."""
    contents = moto_get.fill({"large": 11 * MEBIBYTE, "small": 10})
    env = mounted_so(tmp_path / "site", "import os; os.geteuid = lambda: 4242")
    end = moto_get.run(*IN_RANGES, *options, env=env)
    assert (end.code, end.result.err) == (0, "")
    assert moto_get.files() == contents


REFUSES_LOCKS = """
import errno, fcntl, os
def refuse(*_):
    raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))
fcntl.flock = refuse
"""


def test_one_without_locks(moto_get: GetTrial, tmp_path: Path) -> None:
    """Nothing is resumed there: that is said once, and nothing stays."""
    contents = moto_get.fill({"large": 11 * MEBIBYTE, "d/larger": 12 * MEBIBYTE, "small": 10})
    env = mounted_so(tmp_path / "site", REFUSES_LOCKS)
    end = moto_get.run(*IN_RANGES, env=env)
    assert end.code == 0
    (line,) = end.result.err.splitlines()
    assert line == (
        f"s3pp: '{moto_get.directory}': no file can be locked there (No locks available), "
        "so no large object is resumed"
    )
    assert moto_get.files() == contents


# What SMB makes of flock(2): no other descriptor writes to the file, and if it is shared, none.
WALLS = """
import errno, fcntl, os
from s3pp.localfs import locks
locks.on_smb = lambda fd: True
def walled(function):
    def write(fd, *rest):
        other = os.open(f"/proc/self/fd/{fd}", os.O_RDWR)
        try:
            fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        finally:
            os.close(other)
        return function(fd, *rest)
    return write
os.pwritev = walled(os.pwritev)
"""


@pytest.mark.parametrize("options", [(), ("--no-resume",)], ids=["default", "no-resume"])
def test_one_whose_locks_are_walls(
    moto_get: GetTrial, tmp_path: Path, options: tuple[str, ...]
) -> None:
    contents = moto_get.fill({"large": 11 * MEBIBYTE, "small": 10})
    env = mounted_so(tmp_path / "site", WALLS)
    end = moto_get.run(*IN_RANGES, *options, env=env)
    assert (end.code, end.result.err) == (0, "")
    assert moto_get.files() == contents


# Others at work


@pytest.mark.parametrize("mode", ["update", "stupid", "add"])
def test_two_runs_into_one_directory(moto_get: GetTrial, mode: str) -> None:
    contents = moto_get.fill(
        {f"d{n % 3}/f{n:02d}": 1000 for n in range(40)} | {"large": 3 * MEBIBYTE}
    )
    moto_get.inject(Rule(Delay(0.02), "GET", "/d"), Rule(Stall(0.3), "GET", "/large$"))
    first, journal = moto_get.start(f"--mode={mode}"), moto_get.journal
    second = moto_get.start(f"--mode={mode}")
    ends = [ending(first.wait(60), journal), ending(second.wait(60), moto_get.journal)]
    assert [end.code for end in ends] == [0, 0], [end.result.err for end in ends]
    assert moto_get.files() == contents  # and so no temporary either
    done, others = (set(end.done) for end in ends)
    assert done | others == contents.keys()
    assert mode != "add" or not done & others


def test_a_run_leaves_the_temporaries_of_another_alone(moto_get: GetTrial) -> None:
    contents = moto_get.fill({"d/large": 2 * MEBIBYTE, "d/small": 10})
    gate = Gate()
    moto_get.inject(
        Rule(Stall(4.0), "GET", "/large$", times=1), Rule(gate, "GET", "/small$", times=1)
    )
    first, journal = moto_get.start("--mode=stupid"), moto_get.journal
    moto_get.proxy.wait_for(4, "GET")
    deadline = time.monotonic() + 40
    while not (before := arriving(moto_get)):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert ending(moto_get.start("--mode=stupid").wait(60), moto_get.journal).code == 0
    assert set(before) <= set(moto_get.temporaries())
    gate.open()
    assert ending(first.wait(60), journal).code == 0
    assert moto_get.files() == contents
