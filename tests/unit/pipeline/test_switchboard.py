"""The switchboard: whoever has ended hears nothing, and its descriptors are nobody's."""

from __future__ import annotations

import os
from contextlib import ExitStack

from s3pp.pipeline.children import Child, start_context
from s3pp.pipeline.messages import Heartbeat, NoMoreTasks
from s3pp.pipeline.pipes import MessageReader, MessageWriter
from s3pp.pipeline.switchboard import Switchboard


def echo(inbox: MessageReader, outbox: MessageWriter) -> None:
    while (message := inbox.receive()) is not None:
        outbox.send(message)


def test_who_was_forgotten_hears_nothing_and_the_next_gets_none_of_it() -> None:
    board = Switchboard()
    with ExitStack() as stack:
        stack.callback(board.close)
        first = Child("first", echo, context=start_context("fork"), arguments=())
        board.add(first, on_death=lambda: None)
        first.kill()
        board.forget(first)
        board.send(first, NoMoreTasks())  # as to a lead whose last part ends after it
        second = Child("second", echo, context=start_context("fork"), arguments=())
        stack.callback(board.forget, second)
        stack.callback(second.kill)
        board.add(second, on_death=lambda: None)  # its descriptors have the numbers of the first's
        board.send(first, NoMoreTasks())
        board.send(second, Heartbeat())
        os.set_blocking(second.inbox.fd, True)
        assert isinstance(second.inbox.receive(), Heartbeat)
        assert board.children == [second]
