"""Systems without what only Linux has, as far as Linux can be one.

As on macOS, children are spawned and watched without epoll, and calls outside of POSIX are absent.

What is left out of that: kqueue itself, which libuv and ``selectors`` hide, and a missing /proc.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from commands import ROOT, Run
from conftest import Tree
from s3pp.localfs import allocation, locks
from s3pp.pipeline.child import start_context
from stores.store import Bucket
from trees import Content, read_tree

# Read by each interpreter when it starts, those of spawned children included.
SITE = """
import asyncio, fcntl, os, resource, select, selectors, signal, socket, sys
ABSENT = {
    fcntl: ("F_SETPIPE_SZ", "F_GETPIPE_SZ", "F_OFD_SETLK"),
    os: (
        "O_PATH", "O_TMPFILE", "copy_file_range", "eventfd", "fdatasync", "getrandom", "getxattr",
        "memfd_create", "pidfd_open", "pipe2", "posix_fadvise", "posix_fallocate", "preadv",
        "sched_getaffinity", "sched_setaffinity", "sendfile", "setxattr", "splice",
    ),
    resource: ("prlimit", "RLIMIT_NICE", "RLIMIT_SIGPENDING"),
    select: ("epoll", "EPOLLIN", "EPOLLOUT"),
    selectors: ("EpollSelector",),
    signal: ("sigtimedwait", "sigwaitinfo", "pidfd_send_signal"),
    socket: ("MSG_NOSIGNAL", "SO_DOMAIN", "SO_PROTOCOL", "TCP_USER_TIMEOUT", "TCP_QUICKACK"),
}
for module, names in ABSENT.items():
    for name in names:
        if hasattr(module, name):
            delattr(module, name)
selectors.DefaultSelector = selectors.PollSelector
if os.environ.get("S3PP_TEST_LOOP") == "asyncio":
    sys.modules["uvloop"] = None
"""


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_objects_go_both_ways(
    s3pp: Run, moto_bucket: Bucket, tree: Tree, tmp_path: Path, loop: str
) -> None:
    files: dict[str, Content] = {"a/b.txt": b"words", "large": 6 << 20, "empty": b""}
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "sitecustomize.py").write_text(SITE)
    env = {"PYTHONPATH": f"{tmp_path / 'site'}:{ROOT}", "S3PP_TEST_LOOP": loop}
    parts = ["--part-size", "5MiB", "--multipart-threshold", "5MiB", "--start-method", "spawn"]

    def run(*words: object) -> None:
        end = s3pp(*words, env=env, fresh=True)
        assert end.code == 0, end

    src, out = tree(files), tmp_path / "out"
    run("put", *parts, "--lock", tmp_path / "lock", src, f"{moto_bucket.url}/p")
    run("copy", *parts, f"{moto_bucket.url}/p", f"{moto_bucket.url}/q")
    run("get", *parts, "--journal", tmp_path / "journal", f"{moto_bucket.url}/q", out)
    assert read_tree(out) == read_tree(src)


def test_what_linux_alone_has_is_asked_of_no_other_system(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    for function in (allocation._fallocate, locks._fstatfs):
        function.cache_clear()
        assert function() is None
        function.cache_clear()
    assert start_context("auto").get_start_method() == "spawn"
