"""What leaves this machine for a remote worker: no secret, unless the user has said so."""

from __future__ import annotations

import os
from collections.abc import Iterator
from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3pp.access import Access, Keys
from s3pp.job import Job
from s3pp.pipeline.cluster.remote_child import RemoteOutbox, for_remote
from s3pp.pipeline.messages import Heartbeat, Message, NewKeys, Setup
from s3pp.pipeline.pipes import MessageReader
from s3pp.places import Side
from s3pp.s3.endpoint import Endpoint, Opened

pytestmark = pytest.mark.timeout(60)

ENDPOINT = Endpoint("https", "store", "/b", "us-east-1", "b", proxy="http://proxy:3128")
SIDES = [Side.DEST, Side.SOURCE, Side.LISTING, Side.INVENTORY]
FROM_HERE = (Side.LISTING, Side.INVENTORY)  # what only the walker of this machine reads


class Secrets:
    """Makes secrets, each another one, and finds them in bytes."""

    def __init__(self) -> None:
        self._numbers = count()
        self._mark = os.urandom(8).hex()

    def make(self) -> str:
        """Return one more."""
        return f"{self._mark}-{next(self._numbers)}-"

    def keys(self, *, token: bool = True) -> Keys:
        """Return keys, of secrets alone."""
        return Keys(self.make(), self.make(), self.make() if token else None)

    def number_in(self, sent: bytes) -> int:
        """The number of secrets in ``sent``; what is pickled once counts once."""
        return sent.count(self._mark.encode())


@st.composite
def setups(draw: st.DrawFn) -> tuple[Setup, Secrets]:
    """Draw what the supervisor has, with secrets wherever there can be some."""
    secrets = Secrets()

    def keys() -> Keys | None:
        return draw(st.sampled_from([None, secrets.keys(token=False), secrets.keys()]))

    def access() -> Access:
        return Access(credentials=keys(), profile="work")

    def opened() -> Opened:
        proxy = draw(st.sampled_from(["", f"http://user:{secrets.make()}@proxy:3128"]))
        return Opened(ENDPOINT, keys(), "/ca.pem", listable=True, proxy=proxy)

    job = Job(
        draw(st.sampled_from(["put", "get", "copy", "remove"])),
        access=access(),
        source_access=draw(st.sampled_from([None, access()])),
        listing_access=draw(st.sampled_from([None, access()])),
    )
    sides = draw(st.sets(st.sampled_from(SIDES)))
    return Setup(job, {side: opened() for side in sides}), secrets


def sent(message: Message, *, sends_keys: bool) -> bytes:
    """Return the bytes that leave this machine."""
    reader, writer = os.pipe()
    try:
        RemoteOutbox(writer, sends_keys=sends_keys).send(message)
        os.close(writer)
        with open(reader, "rb", closefd=False) as pipe:
            return pipe.read()
    finally:
        os.close(reader)


def received(content: bytes) -> Iterator[Message]:
    """Yield the messages of what was sent."""
    reader, writer = os.pipe()
    os.write(writer, content)
    os.close(writer)
    inbox = MessageReader(reader)
    while (message := inbox.receive()) is not None:
        yield message
    os.close(reader)


@given(setups())
def test_no_secret_leaves_this_machine(drawn: tuple[Setup, Secrets]) -> None:
    setup, secrets = drawn
    assert secrets.number_in(sent(setup, sends_keys=False)) == 0
    for side in SIDES:
        assert sent(NewKeys(side, secrets.keys()), sends_keys=False) == b""


@given(setups())
def test_no_other_secret_than_keys_of_what_workers_use_is_sent(
    drawn: tuple[Setup, Secrets],
) -> None:
    setup, secrets = drawn
    (got,) = received(content := sent(setup, sends_keys=True))
    assert isinstance(got, Setup)
    used = {side: each.keys for side, each in setup.opened.items() if side not in FROM_HERE}
    assert {side: each.keys for side, each in got.opened.items()} == used
    assert secrets.number_in(content) <= sum(len(each) for each in used.values() if each)
    assert all(each.ca_bundle is None for each in got.opened.values())
    for side in FROM_HERE:
        assert sent(NewKeys(side, secrets.keys()), sends_keys=True) == b""


def test_the_rest_of_the_setup_is_sent() -> None:
    secrets = Secrets()
    job = Job("copy", access=Access(credentials=secrets.keys(), profile="work"))
    opened = Opened(ENDPOINT, secrets.keys(), "/ca.pem", listable=True, proxy="http://u:p@proxy")
    got = for_remote(Setup(job, {Side.DEST: opened}), sends_keys=False)
    assert got.job == Job("copy", access=Access(profile="work"), speed=job.speed)
    assert got.opened == {Side.DEST: Opened(ENDPOINT, None, None, listable=True)}


def test_other_messages_are_sent_as_they_are() -> None:
    news = NewKeys(Side.DEST, Keys("AKID", "secret"))
    assert list(received(sent(news, sends_keys=True))) == [news]
    assert list(received(sent(Heartbeat(), sends_keys=False))) == [Heartbeat()]
