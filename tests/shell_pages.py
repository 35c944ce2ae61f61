"""The commands of the documentation, run in a shell: what a page shows, and a place where it works.

A block of a page is a script, which runs as it stands but for the names of machines and of absolute
directories (``World.localized``). In a block with prompts the lines after ``$`` are the script, and
the others what it prints. A comment before a block, ``.. not run: WHY``, leaves the shell out: its
commands are parsed only, as those of all blocks are (``unit/cli/test_docs.py``).

``s3pp`` is a small client there, which has the command forked (``forked.py``) with its own streams.
"""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
import tarfile
import tempfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from textwrap import dedent
from typing import Any, NamedTuple

from commands import ROOT, clean_environment
from forked import Command, start_command
from s3pp.cli import sandbox
from stores.store import Bucket, Store
from trees import Content, as_bytes, make_tree

_BLOCK = re.compile(
    r"(?:^ *\.\. not run: (?P<why>.+)\n\n)?"
    r"(?:^ *\.\. code-block:: (?P<kind>sh|bash|console)|^(?!\.\. )(?:.*\n)?.*::)\n\n"
    r"(?P<lines>(?P<indent> {3,}).*\n(?:(?:(?P=indent).*)?\n)*)",
    re.MULTILINE,
)
_COMMAND = re.compile(r"^(?:.*[|;&] *)?s3pp [a-z]", re.MULTILINE)
_NO_SCRIPT = re.compile(
    r"\b(?:BUCKET|OPTIONS|SOURCE|pip install)\b"
)  # a form of a command, no more
_PROMPT = "$ "
PATIENCE = 60.0  # seconds for the commands of one block

CLIENT = """#!{python} -IS
import json, os, socket, sys
with socket.socket(socket.AF_UNIX) as server:
    server.connect({path!r})
    request = {{"words": sys.argv[1:], "cwd": os.getcwd(), "env": dict(os.environ)}}
    socket.send_fds(server, [b"s"], [0, 1, 2])
    server.sendall(json.dumps(request).encode() + b"\\n")
    sys.exit(int(server.recv(16)))
"""


class Block(NamedTuple):
    """A block of commands on a page."""

    script: str
    printed: str  # what the page says that it prints; empty if it says nothing
    is_run: bool


def pages() -> list[Path]:
    """README.rst and the pages of the documentation."""
    return [ROOT / "README.rst", *sorted((ROOT / "docs").rglob("*.rst"))]


def blocks(page: str) -> list[Block]:
    """The blocks of a page that are scripts: those called so, and others that run s3pp."""
    found = [(dedent(each["lines"]), each) for each in _BLOCK.finditer(page)]
    scripts = [(text, each) for text, each in found if each["kind"] or _runs_s3pp(text)]
    return [_block(text, not each["why"]) for text, each in scripts if not _NO_SCRIPT.search(text)]


def _runs_s3pp(text: str) -> bool:
    shown = "".join(line.removeprefix(_PROMPT) for line in text.splitlines(keepends=True))
    return bool(_COMMAND.search(shown))


def _block(text: str, is_run: bool) -> Block:
    lines = text.strip("\n").splitlines()
    if not lines[0].startswith(_PROMPT):
        return Block(text, "", is_run)
    script = [line.removeprefix(_PROMPT) for line in lines if line.startswith(_PROMPT)]
    printed = [line for line in lines if not line.startswith(_PROMPT)]
    return Block("\n".join(script), "\n".join(printed), is_run)


FILES: Mapping[str, Content] = {
    ".git/config": "x",
    "2026/a.csv": 200,
    "app.log": 100,
    "data/a.csv": 300,
    "data/b/c.bin": 5000,
    "my_local_mirror_dir/simple/a.html": 10,
    "my_test.py": "print('ran')\n",
    "names.txt": "a.csv\n",
    "photos/2026/a.jpg": 2000,
    "photos/a/b.jpg": 1000,
    "photos/notes.txt": "notes",
    "site/app.css": "p { color: black }\n" * 50,
    "site/img/logo.png": 700,
    "site/index.html": "<p>words</p>\n" * 50,
    "spool/x/y.csv": 50,
    "src/a.c": "int a;",
    "stamp": "",
    "srv/data/a.csv": 300,
    "srv/photos/a.jpg": 400,
    "srv/site/app.css": "p { color: black }\n" * 50,
    "srv/site/img/logo.png": 700,
    "srv/site/index.html": "<p>words</p>\n" * 50,
    "var/cache/": None,
    "var/lib/node_exporter/": None,
    "var/log/s3pp/": None,
    "work/": None,
}
OBJECTS: Mapping[str, Mapping[str, Content]] = {
    "archive": {"a/a.csv": 10},
    "backup": {},
    "bucket": {
        "2025/a.jpg": 20,
        "2026/a/b.jpg": 30,
        "a/a.csv": 10,
        "backup/photos.tar": 0,
        "data/a.csv": 300,
        "data/old.tmp": 3,
        "incoming/a.csv": 40,
        "logs/2026-11-01.log": 50,
        "mirror/pypi/a.html": 10,
        "old/a.jpg": 20,
        "photos/2026/a.jpg": 60,
    },
    "demo": {},
    "dest": {},
    "dst": {},
    "my-bucket": {},
    "new": {},
    "ours": {},
    "other": {"logs-1": 10},
    "other-bucket": {"pictures/a.jpg": 30},
    "photos": {"2026/a/b.jpg": 30, "2026/a.csv": 30},
    "source": {"a/a.csv": 10, "b/b.csv": 10, "path/a.csv": 10},
    "src": {"a/b.csv": 30},
    "theirs": {"data/a.csv": 30},
    "www.example.org": {"index.html": 20},
}
PROFILES = [
    *("archive", "auditor", "ceph", "cn", "copier", "gcs", "me", "minio"),
    *("new", "old", "ours", "r2", "theirs", "us", "writer"),
]
OTHER_PROGRAMS = {"jq": "cat", "pg_dump": "echo table", "psql": "cat"}  # read and write as they do


class World:
    """A directory, buckets and a shell, in which the commands of a page have what they name."""

    def __init__(self, directory: Path, store: Store, page: str) -> None:
        self.directory, self._store = directory, store
        self._buckets = [name for name in OBJECTS if f"s3://{name}" in page]
        self._work = make_tree(directory / "work", FILES)
        with tarfile.open(self._work / "backup.tar.gz", "w:gz") as archive:
            archive.add(self._work / "photos", "photos")
        self._config = directory / "config"
        self._config.write_text("".join(map(self._profile, PROFILES)))

    def _profile(self, name: str) -> str:
        keys = f"aws_access_key_id = {name}\naws_secret_access_key = secret-of-{name}\n"
        return f"[profile {name}]\n{keys}region = us-east-1\n"

    @contextmanager
    def ready(self) -> Iterator[None]:
        """Buckets, and the program s3pp, for the time of the context."""
        buckets = [self._filled(name) for name in self._buckets]
        bin = self.directory / "bin"
        for program, script in OTHER_PROGRAMS.items():
            _program(bin / program, f"#!/bin/sh\n{script}\n")
        with _listening() as path:
            _program(bin / "s3pp", CLIENT.format(python=sys.executable, path=path))
            _program(bin / "python", f'#!/bin/sh\nexec {sys.executable} "$@"\n')
            yield
        for bucket in buckets:
            for key in bucket.tree():
                bucket.client.delete_object(Bucket=bucket.name, Key=key)
            bucket.client.delete_bucket(Bucket=bucket.name)

    def _filled(self, name: str) -> Bucket:
        bucket = self._store.bucket(name)
        bucket.fill({key: as_bytes(key, what) for key, what in OBJECTS[name].items()})
        return bucket

    def localized(self, script: str) -> str:
        """``script`` with this world's store and directories in place of those of the page."""
        script = re.sub(r"https://[\w.-]+(?::\d+)?", self._store.url, script)
        return re.sub(r"(?<![\w.:/])~?/(?=(?:srv|var|data|\.cache)\b)", f"{self._work}/", script)

    def run(self, script: str) -> subprocess.CompletedProcess[str]:
        """Run a script, which ends with the first command that fails."""
        path = f"{self.directory / 'bin'}{os.pathsep}{os.environ['PATH']}"
        extra = {"AWS_ENDPOINT_URL": self._store.url, "AWS_CONFIG_FILE": str(self._config)}
        return subprocess.run(
            ["bash", "-euo", "pipefail", "-c", self.localized(script)],
            cwd=self._work,
            env=clean_environment(self._store, {"PATH": path, **extra}),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
        )


def _program(path: Path, text: str) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)


@contextmanager
def _listening() -> Iterator[str]:
    """Serve the client until the context ends; returns the path of its socket."""
    with tempfile.TemporaryDirectory() as place, socket.socket(socket.AF_UNIX) as listener:
        path = f"{place}/s3pp"  # shorter than the path of a test's directory: 107 bytes at most
        listener.bind(path)
        listener.listen()
        threading.Thread(target=_serve, args=(listener,), daemon=True).start()
        yield path
        listener.shutdown(socket.SHUT_RDWR)


def _serve(listener: socket.socket) -> None:
    with suppress(OSError):
        while True:
            connection, _ = listener.accept()
            threading.Thread(target=_answer, args=(connection,), daemon=True).start()


def _answer(connection: socket.socket) -> None:
    """Run one command, and answer with its exit code."""
    with connection:
        _, streams, _, _ = socket.recv_fds(connection, 1, 3)
        try:
            with connection.makefile("rb") as file:
                request = json.loads(file.readline())
            command = _start(request, streams)
        finally:
            for each in streams:
                os.close(each)
        code = command.wait(PATIENCE) if command else 0
        connection.sendall(b"%d" % (code if code >= 0 else 128 - code))


def _start(request: Mapping[str, Any], streams: list[int]) -> Command | None:
    """Start a command; None for a sandbox that would run until Ctrl-C, which is parsed only."""
    words = request["words"]
    if words[:1] == ["sandbox"] and "--" not in words:
        sandbox.parse(words[1:])
        return None
    names = ("stdin", "stdout", "stderr")
    given = {**dict(zip(names, streams, strict=True)), "cwd": request["cwd"]}
    return start_command([sys.executable, "-m", "s3pp", *words], request["env"], **given)
