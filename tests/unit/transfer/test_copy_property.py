"""Whatever goes wrong on the way: a copy is there whole, or it is said that it is not."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from s3pp.errors import FailureKind
from s3pp.job import Job, Mode
from s3pp.places import Place, parse_origin
from s3pp.records import CopyTask, Dest, Done, Failed, Outcome, Skipped
from s3pp.s3.answers import Answer, Copied
from s3pp.s3.exchange import Fault, Sink, Stream, WireError
from s3pp.s3.retry import NetworkError, StoreError
from s3pp.s3.sigv4 import Signer
from s3pp.transfer.copy.copier import Copier

from .buckets import (
    DENIED,
    FAILED,
    GONE,
    KEYS,
    UNKNOWN,
    answer,
    copied,
    endpoint,
    etag_of,
    looked,
    pour,
    read,
    resources,
)

KEY, TARGET = "key", "to/key"
CUT = NetworkError(WireError(Fault.CUT, "reset"))

# What can happen at one request: before it is served, to its answer, or instead of it.
FAULTS = [
    "none",
    "none",
    "refused",
    "unavailable",
    "lost",  # it is served, and the answer does not arrive
    "unknown",
    "torn",  # of a GET: other bytes under the same ETag
    "cut",  # of a GET: fewer bytes, honestly announced
    "replaced",  # somebody writes the source before it is served
    "removed",
    "written",  # somebody writes the target before it is served
]


@dataclass
class World:
    """Two buckets of one store, and what is going to happen to the requests."""

    objects: dict[str, bytes]
    faults: deque[str]
    foreign: set[bytes] = field(default_factory=set)  # what others wrote under the target
    versions: set[bytes] = field(default_factory=set)  # every body the source has had

    def fault(self) -> str:
        """What happens at this request; others act before it is served."""
        name = self.faults.popleft() if self.faults else "none"
        if name == "replaced":
            self.objects[KEY] = self.objects.get(KEY, b"") + b"!"
            self.versions.add(self.objects[KEY])
        elif name == "removed":
            self.objects.pop(KEY, None)
        elif name == "written":
            self.objects[TARGET] = b"foreign"
            self.foreign.add(b"foreign")
        refusals = {"refused": DENIED, "unknown": UNKNOWN}
        refusals["unavailable"] = StoreError(503, "SlowDown", "")
        if name in refusals:
            raise refusals[name]
        return name


class Store:
    """One bucket of a world, with the conditions kept as S3 keeps them."""

    def __init__(self, world: World, name: str) -> None:
        self.world = world
        self.endpoint = endpoint(name)
        self.signer = Signer(KEYS, "us-east-1")

    async def copy(
        self, key: str, source: tuple[str, str], *, headers: Sequence[tuple[str, str]], size: int
    ) -> Copied:
        fault, named = self.world.fault(), dict(headers)
        body = self.world.objects.get(source[1])
        if body is None:
            raise GONE
        if named["x-amz-copy-source-if-match"] != f'"{etag_of(body)}"':
            raise FAILED
        return copied(self._written(key, body, named, fault))

    async def put(
        self,
        key: str,
        body: bytes | Stream,
        *,
        headers: Sequence[tuple[str, str]],
        payload_hash: str,
    ) -> Answer:
        fault = self.world.fault()
        return answer(self._written(key, read(body), dict(headers), fault))

    async def get(
        self,
        key: str,
        *,
        headers: Any = (),
        sink: Sink | None = None,
        coding: str = "",
        size: int = 0,
    ) -> Answer:
        fault = self.world.fault()
        body = self.world.objects.get(key)
        if body is None:
            raise GONE
        if fault == "lost":
            raise CUT
        sent = {"torn": b"?" + body[1:], "cut": body[:-1]}.get(fault, body)
        return pour(answer(etag_of(body), body=sent), sink)

    async def look(self, key: str, **_: Any) -> Answer | None:
        if self.world.fault() == "lost":
            raise CUT
        body = self.world.objects.get(key)
        return None if body is None else looked(etag_of(body), len(body))

    async def head(self, key: str) -> Dest | None:
        found = await self.look(key)
        return Dest(found.size, found.etag) if found else None

    def _written(self, key: str, body: bytes, headers: dict[str, str], fault: str) -> str:
        if headers.get("if-none-match") == "*" and key in self.world.objects:
            raise FAILED
        self.world.objects[key] = body
        if fault == "lost":
            raise CUT
        return etag_of(body)


def copy(world: World, task: CopyTask, mode: Mode, *, shared: bool) -> Outcome:
    async def main() -> Outcome:
        job = Job("copy", dest=Place("into", "to"), origins=(parse_origin("s3://from"),), mode=mode)
        source, dest = Store(world, "from"), Store(world, "into")
        return await Copier(job, source, dest, shared=shared, resources=resources()).transfer(task)  # type: ignore[arg-type]

    return asyncio.run(main())


PLACED: dict[str, Callable[[bytes], bytes | None]] = {
    "absent": lambda body: None,
    "same": lambda body: body,
    "other": lambda body: b"x" * len(body),
    "longer": lambda body: body + b"x",
}


@given(
    st.binary(min_size=1, max_size=4),
    st.sampled_from(sorted(PLACED)),
    st.sampled_from(list(Mode)),
    st.lists(st.sampled_from(FAULTS), max_size=6),
    st.tuples(st.booleans(), st.booleans()),
)
def test_a_copy_is_there_or_it_is_said_that_it_is_not(
    body: bytes, placed: str, mode: Mode, faults: list[str], flags: tuple[bool, bool]
) -> None:
    shared, ask = flags
    before = PLACED[placed](body)
    world = World({KEY: body}, deque(faults), versions={body})
    if before is not None:
        world.objects[TARGET] = before
    known = None if ask or before is None else Dest(len(before), etag_of(before))
    task = CopyTask(KEY, TARGET, len(body), etag_of(body), "", known, ask)
    outcome = copy(world, task, mode, shared=shared)
    after = world.objects.get(TARGET)

    assert after in {before, *world.versions, *world.foreign}, "nobody ever wrote this"
    if isinstance(outcome, Done):
        assert after in world.versions | world.foreign
        assert outcome.etag in {etag_of(each) for each in world.versions | world.foreign}
    elif isinstance(outcome, Skipped):
        assert mode is not Mode.STUPID
        assert before is not None or world.foreign
    else:
        assert isinstance(outcome, Failed)
        assert outcome.kind is not FailureKind.INTERNAL, outcome.message
        assert set(faults) - {"none"}, f"nothing went wrong: {outcome.message}"
    # Where a HEAD of the target may be refused, nobody can promise this without the condition.
    if mode is Mode.ADD and before is not None and not {"refused", "unknown"} & set(faults):
        assert after in {before, b"foreign"}, "mode add has overwritten an object"
