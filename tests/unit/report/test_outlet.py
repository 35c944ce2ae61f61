"""Streams that go away."""

from __future__ import annotations

import io
import os

import pytest

from s3pp.report.outlet import Outlet


def test_lines_are_one_write() -> None:
    class Counting(io.StringIO):
        writes = 0

        def write(self, text: str) -> int:
            self.writes += 1
            return super().write(text)

    stream = Counting()
    outlet = Outlet(stream)
    outlet.lines([])
    outlet.lines(["a", "b"])
    assert (stream.getvalue(), stream.writes) == ("a\nb\n", 1)


def test_a_pipe_nobody_reads_is_left_for_good() -> None:
    read, write = os.pipe()
    stream = os.fdopen(write, "w")
    outlet = Outlet(stream)
    outlet.write("heard\n")
    assert os.read(read, 100) == b"heard\n"
    os.close(read)
    for _ in range(3):
        outlet.write("x" * 100_000)
    stream.close()  # flushes what is left: must not raise either


def test_a_full_disk() -> None:
    with open("/dev/full", "w") as stream:
        Outlet(stream).write("x" * 100_000)


def test_no_stream_and_a_closed_one() -> None:
    Outlet(None).write("x")
    stream = io.StringIO()
    stream.close()
    outlet = Outlet(stream)
    assert not outlet.terminal
    outlet.write("x")
    outlet.write("x")


@pytest.mark.parametrize(
    ("encoding", "shown"), [("ascii", b"gr\\xfcn \\u65e5"), ("latin-1", b"gr\xfcn \\u65e5")]
)
def test_what_the_encoding_lacks_is_escaped(encoding: str, shown: bytes) -> None:
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding=encoding)
    Outlet(stream).write("grün 日")
    assert raw.getvalue() == shown


def test_a_terminal() -> None:
    near, far = os.openpty()
    with os.fdopen(far, "w") as stream:
        assert Outlet(stream).terminal
    os.close(near)
    assert not Outlet(io.StringIO()).terminal
