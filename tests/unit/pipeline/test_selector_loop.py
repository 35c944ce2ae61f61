"""The selector loop: whoever has ended hears nothing, and its descriptors are nobody's."""

from __future__ import annotations

import os
from contextlib import ExitStack

from s3pp.pipeline.child import Child, start_context
from s3pp.pipeline.messages import Heartbeat, NoMoreTasks
from s3pp.pipeline.pipes import MessageReader, MessageWriter
from s3pp.pipeline.selector_loop import SelectorLoop


def echo(inbox: MessageReader, outbox: MessageWriter) -> None:
    while (message := inbox.receive()) is not None:
        outbox.send(message)


def test_who_was_forgotten_hears_nothing_and_the_next_gets_none_of_it() -> None:
    loop = SelectorLoop()
    with ExitStack() as stack:
        stack.callback(loop.close)
        first = Child("first", echo, context=start_context("fork"), arguments=())
        loop.add(first, on_death=lambda: None)
        first.kill()
        loop.forget(first)
        loop.send(first, NoMoreTasks())  # as to a lead whose last part ends after it
        second = Child("second", echo, context=start_context("fork"), arguments=())
        stack.callback(loop.forget, second)
        stack.callback(second.kill)
        loop.add(second, on_death=lambda: None)  # its descriptors have the numbers of the first's
        loop.send(first, NoMoreTasks())
        loop.send(second, Heartbeat())
        os.set_blocking(second.inbox.fd, True)
        assert isinstance(second.inbox.receive(), Heartbeat)
        assert loop.children == [second]


def test_who_is_forgotten_twice_takes_nothing_from_the_next() -> None:
    """As a walker that has ended, where the run is stopped after that."""
    loop, heard = SelectorLoop(), []
    with ExitStack() as stack:
        stack.callback(loop.close)
        first = Child("first", echo, context=start_context("fork"), arguments=())
        loop.add(first, on_death=lambda: None)
        numbers = set(first.descriptors)
        first.kill()
        loop.forget(first)
        second = Child("second", echo, context=start_context("fork"), arguments=())
        stack.callback(loop.forget, second)
        stack.callback(second.kill)
        loop.add(second, on_death=lambda: None)
        loop.watch(second.inbox.fd, lambda: heard.extend(second.inbox.once()))
        assert numbers & set(second.descriptors), "the numbers are used again"
        loop.forget(first)
        loop.send(second, Heartbeat())
        loop.turn(10)
    assert [type(each) for each in heard] == [Heartbeat]
