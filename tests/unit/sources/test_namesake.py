"""The object that a prefix is not: when it is looked for, and what is said of it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from s3pp.errors import FatalError
from s3pp.job import Choosing, Job
from s3pp.places import parse_origin
from s3pp.s3.answers import Answer
from s3pp.s3.retry import NetworkError, StoreError
from s3pp.s3.wire import Response, WireError
from s3pp.sources.namesake import namesake

THERE = Answer(Response(200, [b"HTTP/1.1 200 OK\r\n"], b""), 1)


class Bucket:
    """Answers every HEAD alike."""

    def __init__(self, answer: Answer | Exception | None) -> None:
        self.looks: list[str] = []
        self._answer = answer

    async def look(self, key: str) -> Answer | None:
        self.looks.append(key)
        if isinstance(self._answer, Exception):
            raise self._answer
        return self._answer


def asked(
    source: str, answer: Answer | Exception | None = THERE, **choosing: Any
) -> tuple[list[str], str | None]:
    bucket, origin = Bucket(answer), parse_origin(source)
    job = Job("get", origin=origin, directory="d", choosing=Choosing(**choosing))
    return bucket.looks, asyncio.run(namesake(job, origin, bucket))


@pytest.mark.parametrize("source", ["s3://bkt/a/p", "s3://bkt/a/p/"])
def test_it_is_named_with_what_means_it_alone(source: str) -> None:
    looks, note = asked(source)
    assert looks == ["a/p"]
    assert note is not None
    assert note.startswith("s3://bkt/a/p is an object too, and left out")
    assert "'s3://bkt/a/p*' with --limit 1" in note


@pytest.mark.parametrize("name", ["p*", "p/", "p*/"])
def test_the_way_to_it_is_right_for_odd_names(name: str) -> None:
    looks, note = asked(f"s3://bkt/{name}/")
    assert looks == [name]
    assert note is not None
    way = parse_origin(note.split("'")[1])
    assert (way.prefix, way.single) == (name, None), "it means what begins so, the name first"


@pytest.mark.parametrize("source", ["s3://bkt", "s3://bkt/", "s3://bkt/p*", "s3://bkt/p/*"])
def test_where_no_object_could_be_meant_nobody_asks(source: str) -> None:
    assert asked(source) == ([], None)


def test_nor_where_names_are_listed() -> None:
    assert asked("s3://bkt/p", files_from="list") == ([], None)


def test_nor_where_it_is_what_is_read() -> None:
    bucket, origin = Bucket(THERE), parse_origin("s3://bkt/p").alone
    assert asyncio.run(namesake(Job("list", origin=origin), origin, bucket)) is None
    assert bucket.looks == []


@pytest.mark.parametrize(
    "answer",
    [
        None,
        StoreError(403, "AccessDenied", "no"),
        StoreError(500, "InternalError", "no"),
        NetworkError(WireError(28, "no answer")),
        FatalError("the token has expired"),
    ],
    ids=repr,
)
def test_what_is_not_known_is_not_told(answer: Exception | None) -> None:
    assert asked("s3://bkt/p", answer) == (["p"], None)


def test_nobody_waits_for_it_for_long() -> None:
    class Silent(Bucket):
        async def look(self, key: str) -> Answer | None:
            await asyncio.sleep(3600)
            return THERE

    origin, bucket = parse_origin("s3://bkt/p"), Silent(None)
    note = namesake(Job("list", origin=origin), origin, bucket, patience=0.01)
    assert asyncio.run(note) is None
