"""A run of each verb through the fault proxy, held to the invariant when it has ended.

``run`` and ``end`` verify what was claimed; a test asserts what ought to have happened.
"""

from __future__ import annotations

import os
import re
import stat
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

from commands import Argument, Result, Running, Start
from faults.accounting import Ending, check_done, check_kept, ending, read_journal
from stores.fault_proxy import FaultProxy, Rule
from stores.store import Bucket
from trees import Content, as_bytes, make_tree, read_tree

# Small enough that attempts that are bound to fail fail soon.
FAST = ["--max-attempts=3", "--connect-timeout=5", "--read-timeout=5"]
FEW = ["--processes=2", "--concurrency=8", "--no-progress"]
TEMPORARY = re.compile(r"\.s3pp-[0-9a-f]{16}(\.part|\.ranges)?\Z")


class Trial(ABC):
    """A verb, a bucket that it reads or writes, and the faults between the two."""

    verb: ClassVar[str]
    fast: ClassVar[list[str]] = FAST

    def __init__(self, bucket: Bucket, proxy: FaultProxy, start: Start, root: Path) -> None:
        self.bucket, self.proxy = bucket, proxy
        self._root, self._start = root, start
        self._runs = 0

    @property
    @abstractmethod
    def places(self) -> list[Argument]:
        """The source and the destination, as on a command line."""

    def inject(self, *rules: Rule) -> None:
        """Put rules in force at the proxy."""
        self.proxy.inject(*rules)

    def fill(self, files: Mapping[str, Content], bucket: Bucket | None = None) -> dict[str, bytes]:
        """Put objects into the trial's bucket, or another; return their contents by key."""
        contents = {key: as_bytes(key, what) for key, what in files.items()}
        (bucket or self.bucket).fill(contents)
        return contents

    def start_plain(self, *options: str, **settings: Any) -> Running:
        """Start the run with the fast options and these, which come later and win."""
        store = replace(self.bucket.store, url=self.proxy.url)
        return self._start(self.verb, *self.fast, *options, *self.places, store=store, **settings)

    def count(self, method: str, key: str = "") -> int:
        """How many requests of ``method`` arrived, for ``key`` or for all keys."""
        return len(self.proxy.hits(method, f"/{key}$" if key else ""))


class Transfer(Trial):
    """A trial of a verb that moves objects, and keeps a journal of it."""

    fast = FAST + FEW

    @property
    def journal(self) -> Path:
        """The journal of the newest run; each has one of its own."""
        return self._root / f"journal-{self._runs}.jsonl"

    @abstractmethod
    def check(self, end: Ending) -> None:
        """What was claimed is so, and nothing else was touched."""

    @abstractmethod
    def arrived(self) -> dict[str, bytes]:
        """What stands at the destination."""

    def start(self, *options: str, **settings: Any) -> Running:
        """Start the run with ``--json`` and a journal, and return at once."""
        self._runs += 1
        return self.start_plain("--json", f"--journal={self.journal}", *options, **settings)

    def run(self, *options: str, timeout: float = 60.0, **settings: Any) -> Ending:
        """The whole run, verified."""
        return self.end(self.start(*options, **settings), timeout)

    def end(self, running: Running, timeout: float = 60.0) -> Ending:
        """Wait for the end of a run and verify it."""
        end = ending(running.wait(timeout), self.journal)
        self.check(end)
        return end

    def claims(self) -> set[str]:
        """The keys that the journal of the newest run, killed or not, has as done."""
        return set(read_journal(self.journal)["done"])


class PutTrial(Transfer):
    """A source tree that is put into the bucket."""

    verb = "put"

    @property
    def source(self) -> Path:
        return self._root / "src"

    @property
    def places(self) -> list[Argument]:
        return [self.source, self.bucket.url]

    def tree(self, files: Mapping[str, Content]) -> dict[str, bytes]:
        """Write the source tree; return its contents by key."""
        return read_tree(make_tree(self.source, files))

    def contents(self) -> dict[str, bytes]:
        """What the source tree holds now, by key."""
        return read_tree(self.source)

    def check(self, end: Ending) -> None:
        # Held against the source tree as it is by now.
        sent = {key: (self.source / key).read_bytes() for key in end.done}
        stored = self.bucket.tree() if end.done else {}
        check_done(end, stored.__getitem__, sent)

    def arrived(self) -> dict[str, bytes]:
        return self.bucket.tree()

    def puts(self, key: str = "") -> int:
        """How many PUTs arrived, of ``key`` or of all keys."""
        return self.count("PUT", key)


class StreamTrial(Transfer):
    """Standard input, which becomes the object ``k``."""

    verb = "put"
    content = b""

    @property
    def places(self) -> list[Argument]:
        return ["-", f"{self.bucket.url}/k"]

    def start_plain(self, *options: str, **settings: Any) -> Running:
        return super().start_plain(*options, **({"stdin": self.content} | settings))

    def check(self, end: Ending) -> None:
        check_done(end, self.bucket.get, {"k": self.content})

    def arrived(self) -> dict[str, bytes]:
        return self.bucket.tree()


class GetTrial(Transfer):
    """The bucket's objects, which are got into a directory with surroundings.

    ``killed`` says that a process of the run was: its last temporary files may stay, and what it
    did last is told nobody, or found there by others. ``resumable``: what the run can leave to the
    next one may stay.
    """

    verb = "get"
    prefix = ""
    killed = False
    resumable = False

    def __init__(self, bucket: Bucket, proxy: FaultProxy, start: Start, root: Path) -> None:
        super().__init__(bucket, proxy, start, root)
        self.surroundings = root / "area"
        self.directory = self.surroundings / "one" / "two" / "dest"
        self._before: dict[str, object] = {}
        self._around: dict[str, object] = {}

    @property
    def places(self) -> list[Argument]:
        return [f"{self.bucket.url}/{self.prefix}", self.directory]

    def stand(self, files: Mapping[str, Content]) -> dict[str, bytes]:
        """Write what stands in the directory before the run; return all it holds."""
        return read_tree(make_tree(self.directory, files))

    def start_plain(self, *options: str, **settings: Any) -> Running:
        self._before, self._around = self._ground(), self._outside()
        return super().start_plain(*options, **settings)

    def check(self, end: Ending) -> None:
        contents: dict[str, bytes] = {}
        for key, record in end.done.items():
            found = self.bucket.client.get_object(Bucket=self.bucket.name, Key=key)
            contents[key] = found["Body"].read()
            _check_time(Path(record["path"]), found["LastModified"].timestamp())
        check_done(end, lambda key: self._landed(end.done[key]), contents)
        ended = (*end.done.values(), *end.deleted.values())
        told = {os.path.relpath(record["path"], self.directory) for record in ended}
        self.check_directory(told, complete=end.complete and not self.killed)

    def check_directory(self, told: set[str], *, complete: bool) -> None:
        """Nothing but ``told``, relative paths, was touched, here or around.

        What a run that was broken off did last may be there, untold, but whole.
        """
        assert self._outside() == self._around, "something was written outside DIRECTORY"
        after = self._ground()
        left = {name for name in after if TEMPORARY.search(name)} - self._before.keys()
        if self.resumable:
            left = {name for name in left if not name.endswith((".part", ".ranges"))}
        assert self.killed or not left, f"temporary files: {left}"
        if not complete:
            told = told | {name for name in _solid(after) if self._is_whole(name, after[name])}
        check_kept(_solid(self._before), _solid(after), told=told)

    def files(self) -> dict[str, bytes]:
        """The regular files in the directory, by relative path."""
        return {name: what for name, what in self._ground().items() if isinstance(what, bytes)}

    def arrived(self) -> dict[str, bytes]:
        return self.files()

    def temporaries(self) -> list[str]:
        """The temporary files in the directory."""
        at = self.directory
        found = [Path(where, name) for where, _, names in os.walk(at) for name in names]
        return [str(each.relative_to(at)) for each in found if TEMPORARY.search(each.name)]

    def gets(self, key: str = "") -> int:
        """How many GETs of ``key``, or of all objects, arrived."""
        return len(self.proxy.hits("GET", f"/{key}$" if key else r"^[^?]*$"))

    def _is_whole(self, name: str, what: object) -> bool:
        if what == self._before.get(name):
            return True
        return what == self.bucket.get(f"{self.prefix}/{name}" if self.prefix else name)

    def _landed(self, record: Mapping[str, Any]) -> bytes:
        path = Path(record["path"])
        if record["path"].endswith("/"):
            assert path.is_dir(), path
            return b""
        assert stat.S_ISREG(path.lstat().st_mode), path
        return path.read_bytes()

    def _ground(self) -> dict[str, object]:
        return ground(self.directory)

    def _outside(self) -> dict[str, object]:
        inner = os.path.relpath(self.directory, self.surroundings)
        around = ground(self.surroundings)
        way = ("", "one", "one/two", inner)
        return {n: w for n, w in around.items() if n not in way and not n.startswith(f"{inner}/")}


def _check_time(path: Path, modified: float) -> None:
    if not path.is_dir():
        assert abs(path.stat().st_mtime - modified) < 1.5, (
            f"{path} has another time than its object"
        )


def ground(root: Path) -> dict[str, object]:
    """What stands below ``root`` by relative path, no link followed.

    Bytes for a regular file, None for a directory, and the target of a link as text.
    """
    found: dict[str, object] = {}
    for directory, names, files in os.walk(root):
        for path in (Path(directory, name) for name in (*names, *files)):
            found[path.relative_to(root).as_posix()] = _standing(path)
    return found


def _solid(found: Mapping[str, object]) -> dict[str, object]:
    """Without directories, which failures may leave, and temporary files."""
    return {n: what for n, what in found.items() if what is not None and not TEMPORARY.search(n)}


def _standing(path: Path) -> object:
    mode = path.lstat().st_mode
    if stat.S_ISLNK(mode):
        return str(path.readlink())
    if stat.S_ISDIR(mode):
        return None
    return path.read_bytes() if stat.S_ISREG(mode) else stat.S_IFMT(mode)


class CopyTrial(Transfer):
    """The bucket's objects, which are copied to another bucket.

    ``source_proxy``: the source is another store, so that objects go through this machine.
    """

    verb = "copy"
    source_proxy: FaultProxy | None = None

    def __init__(self, bucket: Bucket, proxy: FaultProxy, start: Start, root: Path) -> None:
        super().__init__(bucket, proxy, start, root)
        self.dest = bucket.store.bucket()
        self._before: dict[str, bytes] = {}

    @property
    def places(self) -> list[Argument]:
        return [self.bucket.url, self.dest.url]

    def start_plain(self, *options: str, **settings: Any) -> Running:
        self._before = self.dest.tree()
        if self.source_proxy:
            options = (f"--source-endpoint-url={self.source_proxy.url}", *options)
        return super().start_plain(*options, **settings)

    def check(self, end: Ending) -> None:
        check_done(end, self.dest.get, {key: self.bucket.get(key) for key in end.done})
        after, told = self.dest.tree(), {*end.done, *end.deleted}
        if not end.complete:  # what was done last is told nobody
            source = self.bucket.tree()
            told |= {key for key, body in after.items() if source.get(key) == body}
        check_kept(self._before, after, told=told)

    def arrived(self) -> dict[str, bytes]:
        return self.dest.tree()

    def puts(self, key: str = "") -> int:
        """How many PUTs arrived, of ``key`` or of all keys; CopyObject is one."""
        return self.count("PUT", key)


@dataclass(frozen=True)
class Listing:
    """What ``list --json`` said of a bucket, in its order."""

    result: Result
    keys: list[str]

    @property
    def code(self) -> int:
        return self.result.code


class ListTrial(Trial):
    """The bucket, which is listed."""

    verb = "list"

    @property
    def places(self) -> list[Argument]:
        return [self.bucket.url]

    def start(self, *options: str, **settings: Any) -> Running:
        """Start the listing with ``--json``, and return at once."""
        return self.start_plain("--json", *options, **settings)

    def run(self, *options: str, timeout: float = 60.0, **settings: Any) -> Listing:
        """The whole listing, verified."""
        return self.end(self.start(*options, **settings), timeout)

    def end(self, running: Running, timeout: float = 60.0) -> Listing:
        """Wait for the end of a listing and verify it."""
        result = running.wait(timeout)
        keys = [event["key"] for event in result.events if event["event"] == "object"]
        assert len(set(keys)) == len(keys), "a key was told twice"
        # A store that has no order is listed in its own, which is said.
        in_order = keys == sorted(keys, key=str.encode)
        assert in_order or "order" in result.err, "keys are out of order"
        there = set(self.bucket.keys())
        assert there >= set(keys), "what is not there was told"
        assert result.code or there == set(keys), "keys are missing, and nobody was told"
        return Listing(result, keys)
