"""Descriptors of a run with very many workers."""

from __future__ import annotations

import fcntl
import os
import resource
from collections.abc import Iterator

import pytest

from s3pp.pipeline.cluster.descriptors import is_readable, raise_limit

HIGH = 2000  # beyond what select(2) can wait for


@pytest.fixture
def limits() -> Iterator[None]:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_a_descriptor_of_any_number_is_waited_for(limits: None) -> None:
    raise_limit()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    assert soft == hard
    if soft != resource.RLIM_INFINITY and soft <= HIGH:
        pytest.skip("so many descriptors are not allowed here")
    end, other = os.pipe()
    high = fcntl.fcntl(end, fcntl.F_DUPFD, HIGH)
    assert not is_readable(high)
    os.write(other, b"x")
    assert is_readable(high, 5.0)
    os.read(high, 1)
    os.close(other)
    assert is_readable(high, 5.0)
    for fd in (end, high):
        os.close(fd)
