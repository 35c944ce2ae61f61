"""``trial``: one upload through the fault proxy, held to the invariant when it has ended."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from commands import Running
from faults.accounting import Ending, check_done, ending
from stores.fault_proxy import FaultProxy, Rule
from stores.store import Bucket, Store
from trees import Content, make_tree, read_tree

# Small enough that attempts that are bound to fail fail soon.
FAST = ["--processes=2", "--concurrency=8", "--max-attempts=3", "--connect-timeout=5"]
FAST += ["--read-timeout=5", "--no-progress"]


class Trial:
    """A source tree, a bucket, and the faults between them.

    ``put`` and ``end`` verify what was claimed; a test asserts what ought to have happened.
    """

    def __init__(
        self, bucket: Bucket, proxy: FaultProxy, start: Callable[..., Running], root: Path
    ) -> None:
        self.bucket, self.proxy = bucket, proxy
        self.source, self._root = root / "src", root
        self._start = start
        self._runs = 0

    @property
    def journal(self) -> Path:
        """The journal of the newest run; each has one of its own."""
        return self._root / f"journal-{self._runs}.jsonl"

    def tree(self, files: Mapping[str, Content]) -> dict[str, bytes]:
        """Write the source tree; return its contents by key."""
        return read_tree(make_tree(self.source, files))

    def contents(self) -> dict[str, bytes]:
        """What the source tree holds now, by key."""
        return read_tree(self.source)

    def inject(self, *rules: Rule) -> None:
        """Put rules in force at the proxy."""
        self.proxy.inject(*rules)

    def start(self, *options: str, **settings: Any) -> Running:
        """Start the upload with ``--json`` and a journal, and return at once."""
        self._runs += 1
        return self.start_plain("--json", f"--journal={self.journal}", *options, **settings)

    def start_plain(self, *options: str, **settings: Any) -> Running:
        """Start the upload with the fast options and these."""
        store = replace(self.bucket.store, url=self.proxy.url)
        target = f"s3://{self.bucket.name}"
        return self._start("put", *FAST, *options, self.source, target, store=store, **settings)

    def put(self, *options: str, timeout: float = 45.0, **settings: Any) -> Ending:
        """Upload the tree; the options come after the fast ones, and win."""
        return self.end(self.start(*options, **settings), timeout)

    def end(self, running: Running, timeout: float = 45.0) -> Ending:
        """Wait for the end and verify it against the source tree as it is then."""
        end = ending(running.wait(timeout), self.journal)
        check_done(end, self.bucket, {key: self._content(key) for key in end.done})
        return end

    def _content(self, key: str) -> bytes:
        return (self.source / key).read_bytes()

    def puts(self, key: str = "") -> int:
        """How many PUTs arrived, of ``key`` or of all keys."""
        return len(self.proxy.hits("PUT", f"/{key}$" if key else ""))


@pytest.fixture
def make_trial(
    s3pp_start: Callable[..., Running], tmp_path: Path
) -> Iterator[Callable[[Store], Trial]]:
    with ExitStack() as stack:

        def make(store: Store) -> Trial:
            proxy = stack.enter_context(FaultProxy(store.url).serving())
            return Trial(store.bucket(), proxy, s3pp_start, tmp_path)

        yield make


@pytest.fixture
def trial(make_trial: Callable[[Store], Trial], store: Store) -> Trial:
    """A trial on each store in turn: for what depends on whether a store checks."""
    return make_trial(store)


@pytest.fixture
def moto_trial(make_trial: Callable[[Store], Trial], moto: Store) -> Trial:
    """A trial on the store that knows everything and checks nothing."""
    return make_trial(moto)


@pytest.fixture
def swift_trial(make_trial: Callable[[Store], Trial], swift: Store) -> Trial:
    """A trial on the store that checks."""
    return make_trial(swift)
