"""Trials: each a run through the fault proxy, on the store that its test is for."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TypeVar

import pytest

from commands import Start
from faults.trials import CopyTrial, GetTrial, ListTrial, PutTrial, StreamTrial, Trial
from stores.fault_proxy import FaultProxy
from stores.store import Store

AnyTrial = TypeVar("AnyTrial", bound=Trial)
MakeTrial = Callable[[type[AnyTrial], Store], AnyTrial]


@pytest.fixture
def make_proxy() -> Iterator[Callable[[Store], FaultProxy]]:
    """``make_proxy(store)``: a fault proxy in front of it, as long as the test lasts."""
    with ExitStack() as stack:
        yield lambda store: stack.enter_context(FaultProxy(store.url).serving())


@pytest.fixture
def make_trial(
    s3pp_start: Start,
    make_proxy: Callable[[Store], FaultProxy],
    tmp_path: Path,
) -> MakeTrial[Trial]:
    """``make_trial(GetTrial, store)``: a trial on a fresh bucket of the store."""
    return lambda kind, store: kind(store.bucket(), make_proxy(store), s3pp_start, tmp_path)


@pytest.fixture
def trial(make_trial: MakeTrial[PutTrial], store: Store) -> PutTrial:
    """A put on each store in turn: for what depends on whether a store checks."""
    return make_trial(PutTrial, store)


@pytest.fixture
def moto_trial(make_trial: MakeTrial[PutTrial], moto: Store) -> PutTrial:
    """A put to the store that knows everything and checks nothing."""
    return make_trial(PutTrial, moto)


@pytest.fixture
def swift_trial(make_trial: MakeTrial[PutTrial], swift: Store) -> PutTrial:
    """A put to the store that checks."""
    return make_trial(PutTrial, swift)


@pytest.fixture
def stream_trial(make_trial: MakeTrial[StreamTrial], store: Store) -> StreamTrial:
    """A put of standard input, on each store in turn."""
    return make_trial(StreamTrial, store)


@pytest.fixture
def moto_stream(make_trial: MakeTrial[StreamTrial], moto: Store) -> StreamTrial:
    """A put of standard input to moto."""
    return make_trial(StreamTrial, moto)


@pytest.fixture
def get_trial(make_trial: MakeTrial[GetTrial], store: Store) -> GetTrial:
    """A get from each store in turn."""
    return make_trial(GetTrial, store)


@pytest.fixture
def moto_get(make_trial: MakeTrial[GetTrial], moto: Store) -> GetTrial:
    """A get from moto alone."""
    return make_trial(GetTrial, moto)


@pytest.fixture
def copy_trial(make_trial: MakeTrial[CopyTrial], store: Store) -> CopyTrial:
    """A copy by each store in turn, from one of its buckets to another."""
    return make_trial(CopyTrial, store)


@pytest.fixture
def moto_copy(make_trial: MakeTrial[CopyTrial], moto: Store) -> CopyTrial:
    """A copy by moto alone."""
    return make_trial(CopyTrial, moto)


@pytest.fixture
def swift_copy(make_trial: MakeTrial[CopyTrial], swift: Store) -> CopyTrial:
    """A copy by Swift alone; mark such tests ``swift``."""
    return make_trial(CopyTrial, swift)


@pytest.fixture
def moto_through(
    make_trial: MakeTrial[CopyTrial], make_proxy: Callable[[Store], FaultProxy], moto: Store
) -> CopyTrial:
    """A copy that goes through this machine: its source has an endpoint of its own."""
    made = make_trial(CopyTrial, moto)
    made.source_proxy = make_proxy(moto)
    return made


@pytest.fixture
def moto_list(make_trial: MakeTrial[ListTrial], moto: Store) -> ListTrial:
    """A listing of a bucket of moto's."""
    return make_trial(ListTrial, moto)
