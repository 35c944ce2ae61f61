"""The control channel: messages arrive whole, with their descriptors, until an end closes."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator

import pytest

from s3pp.pipeline.cluster import control as module
from s3pp.pipeline.cluster.control import Control, ControlMessage, close_all

pytestmark = pytest.mark.timeout(60)


@pytest.fixture
def ends() -> Iterator[tuple[socket.socket, Control]]:
    """A raw end, and the channel at the other."""
    raw, other = socket.socketpair()
    control = Control(other)
    with raw:
        yield raw, control
        control.close()


def test_a_message_passes_its_descriptors_in_order(ends: tuple[socket.socket, Control]) -> None:
    raw, control = ends
    sender = Control(raw)
    first, second = os.pipe(), os.pipe()
    sender.send("open", first[1], second[1], process="p")
    sender.send("open", first[0], process="q")
    close_all((*first[1:], *second[1:]))
    got = [message for _ in range(2) for message in control.receive()]
    assert [each.event for each in got] == ["open", "open"]
    assert [each.content["process"] for each in got] == ["p", "q"]
    (to_first, to_second), (from_first,) = (each.descriptors for each in got)
    os.write(to_first, b"1")
    os.write(to_second, b"2")
    assert (os.read(from_first, 9), os.read(second[0], 9)) == (b"1", b"2")
    close_all((to_first, to_second, from_first, first[0], second[0]))


def test_lines_are_joined_and_split(ends: tuple[socket.socket, Control]) -> None:
    raw, control = ends
    line = b'{"event": "left", "descriptors": 0, "worker": "\xc3\xa9"}\n'
    raw.sendall(line + line + line[:50])
    assert [each.content["worker"] for each in control.receive()] == ["é", "é"]
    raw.sendall(line[50:-1])
    assert control.receive() == []
    raw.sendall(line[-1:])
    assert [each.content["worker"] for each in control.receive()] == ["é"]
    assert not control.closed


def test_descriptors_of_an_incomplete_message_wait_for_its_rest(
    ends: tuple[socket.socket, Control],
) -> None:
    raw, control = ends
    reader, writer = os.pipe()
    socket.send_fds(raw, [b'{"event": "open", "descr'], [reader])
    os.close(reader)
    assert control.receive() == []
    raw.sendall(b'iptors": 1}\n')
    (message,) = control.receive()
    os.write(writer, b"x")
    assert os.read(message.descriptors[0], 9) == b"x"
    close_all((writer, *message.descriptors))


def test_descriptors_that_nobody_took_are_closed_with_the_channel() -> None:
    raw, other = socket.socketpair()
    reader, writer = os.pipe()
    with raw:
        socket.send_fds(raw, [b'{"event"'], [reader])
        os.close(reader)
        control = Control(other)
        control.receive()
        control.close()
    with pytest.raises(BrokenPipeError):
        os.write(writer, b"x")
    os.close(writer)


def test_a_message_longer_than_a_read_is_whole(
    ends: tuple[socket.socket, Control], monkeypatch: pytest.MonkeyPatch
) -> None:
    raw, control = ends
    monkeypatch.setattr(module, "_CHUNK", 10)
    Control(raw).send("refused", why="x" * 1000)
    got: list[ControlMessage] = []
    while not got:
        got = control.receive()
    assert got[0].content == {"event": "refused", "why": "x" * 1000}


def test_the_other_end_is_closed(ends: tuple[socket.socket, Control]) -> None:
    raw, control = ends
    Control(raw).send("fatal", why="gone")
    raw.close()
    assert [each.content["why"] for each in control.receive()] == ["gone"]
    assert not control.closed
    assert control.receive() == []
    assert control.closed
    control.send("kill", process="p")


def test_nobody_receives(ends: tuple[socket.socket, Control]) -> None:
    raw, control = ends
    raw.close()
    reader, writer = os.pipe()
    control.send("open", reader, process="p")
    assert control.closed
    close_all((reader, writer))


def test_an_end_that_says_no_more_still_receives(ends: tuple[socket.socket, Control]) -> None:
    raw, control = ends
    control.shutdown()
    assert raw.recv(9) == b""
    Control(raw).send("ready")
    assert [each.event for each in control.receive()] == ["ready"]
