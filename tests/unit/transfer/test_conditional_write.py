"""Mode add's promise: a write under a condition, or after a look, and never over another's."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3pp.job import Mode
from s3pp.planned import Planned
from s3pp.records import Dest, SendReason
from s3pp.s3.client import Headers
from s3pp.s3.retry import StoreError
from s3pp.transfer.conditional_write import (
    REFUSED,
    SURE,
    AlreadyExists,
    ConditionalWrite,
    head_if_allowed,
)

from .buckets import DENIED, FAILED, UNKNOWN, Scripted, looked, next_of

ABSENT, THERE = None, looked("etag", 4)
CONDITION = [("if-none-match", "*")]


class Scene:
    """An ``ConditionalWrite`` in front of a bucket whose HEADs and whose writes do as scripted."""

    def __init__(self, *writes: Any, mode: Mode = Mode.ADD, looks: Any = (ABSENT,)) -> None:
        self.bucket = Scripted(looks=list(looks))
        self.told: list[str] = []
        self.sent: list[list[tuple[str, str]]] = []  # the headers of each write
        self._writes = list(writes) or ["written"]
        self.refuses = False  # the condition, whatever the script says
        self.conditional = ConditionalWrite(mode, self.bucket, self.told.append)  # type: ignore[arg-type]

    async def _send(self, headers: Headers) -> str:
        self.sent.append(list(headers))
        if headers and self.refuses:
            raise UNKNOWN
        return str(next_of(self._writes))

    def write(self, **how: Any) -> str:
        async def main() -> str:
            return await self.conditional.write("key", self._send, **how)

        return asyncio.run(main())


@pytest.mark.parametrize("mode", [Mode.STUPID, Mode.UPDATE])
@pytest.mark.parametrize("look", [False, True])
def test_other_modes_just_write(mode: Mode, look: bool) -> None:
    scene = Scene(mode=mode, looks=[THERE])
    assert scene.write(look=look) == "written"
    assert (scene.sent, scene.bucket.asked, scene.told) == ([[]], [], [])


def test_add_lets_the_store_decide() -> None:
    scene = Scene()
    assert scene.write() == "written"
    assert (scene.sent, scene.bucket.asked) == ([CONDITION], [])


def test_what_has_been_written_by_this_task_may_be_written_again() -> None:
    scene = Scene(looks=[THERE])
    assert scene.write(ours=True) == "written"
    assert (scene.sent, scene.bucket.asked) == ([[]], [])


def test_a_key_that_is_taken_is_told_as_the_store_put_it() -> None:
    scene = Scene(FAILED)
    with pytest.raises(AlreadyExists) as taken:
        scene.write()
    assert (taken.value.dest, taken.value.refusal) == (None, FAILED)
    assert len(scene.sent) == 1


@pytest.mark.parametrize("status", [403, 409, 500, 503])
def test_other_refusals_are_not_about_the_condition(status: int) -> None:
    error = StoreError(status, "Code", "")
    scene = Scene(error)
    with pytest.raises(StoreError) as raised:
        scene.write()
    assert raised.value is error
    assert (len(scene.sent), scene.bucket.asked, scene.told) == (1, [], [])


def test_a_store_that_does_not_know_it_is_asked_from_then_on() -> None:
    scene = Scene(*[UNKNOWN, "written"] * SURE, "written")
    assert [scene.write() for _ in range(SURE + 1)] == ["written"] * (SURE + 1)
    assert scene.sent == [CONDITION, []] * SURE + [[]]
    assert scene.bucket.asked == ["key"] * (SURE + 1)
    assert scene.told == [REFUSED.format(scene.bucket.endpoint.host)]


@given(refused=st.lists(st.booleans(), max_size=30))
def test_one_that_has_kept_it_keeps_it_whatever_else_it_refuses(refused: list[bool]) -> None:
    """Only where each of the first ``SURE`` objects is refused do others go without."""
    scene = Scene("written")
    for each in refused:
        scene.refuses = each
        scene.write()
    scene.refuses = False
    scene.sent.clear()
    scene.write()
    left_out = len(refused) >= SURE and all(refused[:SURE])
    assert scene.sent == [[] if left_out else CONDITION]


def test_and_what_it_answers_then_decides() -> None:
    scene = Scene(UNKNOWN, looks=[THERE])
    with pytest.raises(AlreadyExists) as taken:
        scene.write()
    assert (taken.value.dest, taken.value.refusal) == (Dest(4, "etag"), None)
    assert scene.sent == [CONDITION]


def test_what_fails_without_the_condition_too_says_nothing_of_it() -> None:
    """501 is what a store may answer to any header: only a write without tells which it was."""
    scene = Scene(UNKNOWN, UNKNOWN, "written")
    with pytest.raises(StoreError):
        scene.write()
    assert scene.told == []
    assert scene.write() == "written"
    assert scene.sent == [CONDITION, [], CONDITION]


def test_a_look_instead_of_the_condition_where_it_is_wanted() -> None:
    scene = Scene()
    assert scene.write(look=True) == "written"
    assert (scene.sent, scene.bucket.asked, scene.told) == ([[]], ["key"], [])


def test_doubts_count_as_refusals() -> None:
    scene = Scene(looks=[ABSENT, THERE])
    for _ in range(SURE):
        scene.conditional.add_doubt()
    assert scene.write() == "written"
    with pytest.raises(AlreadyExists):
        scene.write()
    assert (scene.sent, len(scene.told)) == ([[]], 1)


@pytest.mark.parametrize(
    ("look", "expected"), [(THERE, Dest(4, "etag")), (ABSENT, None), (DENIED, None)]
)
def test_what_is_head_if_allowed(look: Any, expected: Dest | None) -> None:
    bucket: Any = Scripted(looks=[look])
    assert asyncio.run(head_if_allowed(bucket, "key")) == expected


def test_other_troubles_of_looking_are_told() -> None:
    bucket: Any = Scripted(looks=[StoreError(500, "InternalError", "")])
    with pytest.raises(StoreError):
        asyncio.run(head_if_allowed(bucket, "key"))


PLANNED = Planned(SendReason.ETAG, Dest(4, "etag"))


def test_an_object_of_a_plan_is_replaced_if_the_store_misreads_its_etag() -> None:
    """Ceph RGW takes the quotes for a part of the ETag: 412 for what has not changed."""
    scene = Scene(FAILED, "written", looks=[THERE])
    assert scene.write(planned=PLANNED) == "written"
    assert scene.sent == [[("if-match", '"etag"')], []]


def test_an_object_of_a_plan_that_is_another_by_now_is_kept() -> None:
    scene = Scene(FAILED, looks=[THERE, looked("other", 4)])
    with pytest.raises(AlreadyExists) as taken:
        scene.write(planned=PLANNED)
    assert taken.value.refusal == FAILED
    assert len(scene.sent) == 1
