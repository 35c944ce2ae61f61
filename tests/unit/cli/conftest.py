from __future__ import annotations

import io
from collections.abc import Callable
from typing import NamedTuple

import pytest

from s3pp.cli.main import main
from s3pp.report.outlet import Streams


class Told(NamedTuple):
    """What a command said, and its exit code."""

    code: int
    out: str
    err: str


@pytest.fixture
def command() -> Callable[..., Told]:
    """``command("put", …)``: the command line, in this process."""

    def run(*argv: str) -> Told:
        out, err = io.StringIO(), io.StringIO()
        code = main(argv, Streams.of(out, err))
        return Told(code, out.getvalue(), err.getvalue())

    return run
