"""The limits that a user sets, held over simulated processes in virtual time."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3pp.args import values
from s3pp.errors import RunEnding
from s3pp.s3.allowance import Allowance, allowance_of, own_allowance
from s3pp.s3.body_pace import BytesStream
from s3pp.s3.congestion import Demand, Permit
from s3pp.s3.exchange import Request, Response
from s3pp.s3.quotas import BURST, CATCH_UP, FOREVER, Quotas, piece_size
from s3pp.speed import Speed
from s3pp.timetable import Step, Timetable, steady

from .virtual_time import run_virtually

OK = Response(200, b"HTTP/1.1 200 OK\r\n", b"")
DELIVERY = 0.001  # seconds of a message between processes


def speed(
    *, requests: str | None = None, bandwidth: str | None = None, processes: int = 1
) -> Speed:
    return Speed(
        processes=processes,
        max_requests=values.max_requests(requests) if requests else None,
        max_bandwidth=values.max_bandwidth(bandwidth) if bandwidth else None,
    )


# What is handed out

STEPS = st.tuples(st.integers(0, 4), st.integers(0, 50), st.floats(0.0, 0.4))


@given(st.integers(1, 2000), st.lists(STEPS, min_size=1, max_size=60), st.booleans())
def test_no_more_is_handed_out_than_the_limit_however_it_is_asked_for(
    rate: int, steps: list[tuple[int, int, float]], leaves: bool
) -> None:
    quotas: Quotas[int] = Quotas(speed(requests=str(rate)), 0.0)
    now, given, asked = 0.0, 0, 0
    for who, amount, wait in steps:
        quotas.demand(who, Demand(amount))
        asked += amount
        now += wait
        given += sum(each.requests for each in quotas.permits(now).values())
        assert given <= 1 + rate * (now + CATCH_UP)
        assert given <= asked
        if leaves:
            quotas.leave(who)
    if not leaves:  # and whoever waits gets all of it
        while (wait := quotas.wait(now)) < FOREVER:
            now += wait + 1e-6
            given += sum(each.requests for each in quotas.permits(now).values())
        assert given == asked
        assert given <= 1 + rate * (now + CATCH_UP)


def test_a_pause_saves_up_little() -> None:
    quotas: Quotas[str] = Quotas(speed(requests="100"), 0.0)
    quotas.demand("a", Demand(1))
    assert quotas.permits(0.0) == {"a": Permit(1)}
    quotas.demand("a", Demand(1000))
    assert quotas.permits(60.0) == {"a": Permit(int(100 * BURST))}


def test_those_who_wait_get_equal_shares_and_the_share_of_who_leaves() -> None:
    quotas: Quotas[str] = Quotas(speed(requests="100"), 0.0)
    got = dict.fromkeys("abc", 0)

    def pass_time(start: int, end: int) -> None:
        for hundredth in range(start, end):
            for who, permit in quotas.permits(hundredth / 100).items():
                got[who] += permit.requests

    for who, amount in (("a", 1000), ("b", 1000), ("c", 5)):
        quotas.demand(who, Demand(amount))
    pass_time(0, 100)
    assert got["c"] == 5
    assert abs(got["a"] - got["b"]) <= 1
    assert 95 <= sum(got.values()) <= 101
    before = got["b"]
    quotas.leave("a")
    pass_time(100, 200)
    assert 98 <= got["b"] - before <= 102


def test_the_limit_follows_the_time_of_day() -> None:
    table = Timetable("", (Step(0, 10), Step(1, None), Step(2, 100)))
    minute = 0
    quotas: Quotas[str] = Quotas(Speed(max_requests=table), 0.0, lambda each: each.rate_at(minute))
    given = []
    quotas.demand("a", Demand(10_000))
    for minute in range(3):
        start = 60.0 * minute
        quotas.permits(start)
        steps = [quotas.permits(start + tick / 50) for tick in range(1, 101)]
        given.append(sum(each["a"].requests for each in steps if each))
        quotas.demand("a", Demand(10_000))
    assert 19 <= given[0] <= 22
    assert given[1] == 0  # all was handed out at once, when the limit ended
    assert 195 <= given[2] <= 210


@given(st.integers(1024, 10**10))
def test_a_piece_is_small_beside_the_limit(rate: int) -> None:
    assert piece_size(rate) <= max(1024, rate / 20)
    assert piece_size(rate) <= piece_size(None)


# What processes make of it


class Wire:
    """Moves bodies through their pace, and records what has moved when."""

    def __init__(self, latency: float = 0.0) -> None:
        self.moved: list[tuple[float, int]] = []
        self.gaps: list[float] = []  # seconds in which a body did not move
        self.moving = 0
        self._latency = latency

    async def send(self, request: Request) -> Response:
        now = asyncio.get_running_loop().time
        await asyncio.sleep(self._latency)
        if request.pace is None:
            self.moved.append((now(), len(request.body) if isinstance(request.body, bytes) else 1))
            return OK
        assert isinstance(request.body, BytesStream)
        left, last = request.body.size, now()
        self.moving += 1
        while left:
            while not (count := request.pace.take(left, (turn := asyncio.Event()).set)):
                await turn.wait()
            left -= count
            self.moved.append((now(), count))
            self.gaps.append(now() - last)
            last = now()
        self.moving -= 1
        return OK

    @property
    def total(self) -> int:
        return sum(amount for _, amount in self.moved)

    def most_in(self, seconds: float) -> int:
        """The most that moved within any so many seconds."""
        return max(
            sum(amount for when, amount in self.moved if start <= when < start + seconds)
            for start, _ in self.moved
        )


class Crew:
    """Processes with allowances, and a supervisor; messages take ``DELIVERY``."""

    def __init__(self, limits: Speed) -> None:
        loop = asyncio.get_running_loop()
        self._quotas: Quotas[int] = Quotas(limits, loop.time())
        self.members: dict[int, Allowance] = {}
        self._limits = limits
        self._timer: asyncio.TimerHandle | None = None

    def add(self) -> Allowance:
        number = len(self.members)

        def ask(demand: Demand) -> None:
            asyncio.get_running_loop().call_later(DELIVERY, self._take, number, demand)

        member = allowance_of(self._limits, ask)
        assert member is not None
        self.members[number] = member
        return member

    def kill(self, number: int) -> None:
        self._quotas.leave(number)
        self.members[number].end()

    def _take(self, number: int, demand: Demand) -> None:
        self._quotas.demand(number, demand)
        self._turn()

    def _turn(self) -> None:
        loop = asyncio.get_running_loop()
        for number, permit in self._quotas.permits(loop.time()).items():
            loop.call_later(DELIVERY, self.members[number].grant, *permit)
        if self._timer is not None:
            self._timer.cancel()
        wait = self._quotas.wait(loop.time())
        self._timer = None if wait == FOREVER else loop.call_later(wait, self._turn)


async def put(allowance: Allowance, wire: Wire, body: bytes | None) -> None:
    passage = await allowance.admit(body, size=0, reads=False)
    await passage.send(wire, Request("PUT", "", "", body))


async def put_all(allowance: Allowance, wire: Wire, bodies: list[bytes], slots: int) -> None:
    async def work() -> None:
        while bodies:
            await put(allowance, wire, bodies.pop())

    await asyncio.gather(*(work() for _ in range(slots)))


def within(wire: Wire, rate: float, start: float = 0.0) -> None:
    """The limit holds within 5% over the run, and is used."""
    span = wire.moved[-1][0] - start
    assert wire.total <= 1.05 * rate * span + 1
    assert wire.total >= 0.95 * rate * span - 1


@pytest.mark.parametrize(("processes", "rate"), [(1, 100), (16, 100), (4, 2000), (16, 3)])
def test_requests_are_within_5_percent_of_the_limit(processes: int, rate: int) -> None:
    count = max(30, 4 * rate)

    async def main() -> Wire:
        crew, wire = Crew(speed(requests=str(rate), processes=processes)), Wire(0.01)
        shares = [[b""] * (count // processes) for _ in range(processes)]
        await asyncio.gather(*(put_all(crew.add(), wire, each, 32) for each in shares))
        return wire

    wire = run_virtually(main())
    wire.moved = [(when, 1) for when, _ in wire.moved]
    within(wire, rate)


def test_the_share_of_the_dead_and_of_the_idle_goes_to_the_others() -> None:
    async def main() -> Wire:
        crew, wire, lost = Crew(speed(requests="100", processes=4)), Wire(0.01), Wire()
        for _ in range(4):
            crew.add()
        dying = [
            asyncio.ensure_future(put_all(crew.members[n], lost, [b""] * 500, 64)) for n in (0, 1)
        ]
        staying = asyncio.ensure_future(put_all(crew.members[2], wire, [b""] * 300, 64))
        await asyncio.sleep(1.0)
        for number in (0, 1):
            crew.kill(number)
        results = await asyncio.gather(*dying, return_exceptions=True)
        assert {type(each) for each in results} == {RunEnding}
        at = len(wire.moved)
        assert len(wire.moved) + len(lost.moved) <= 107
        await staying
        wire.moved = [(when, 1) for when, _ in wire.moved[at:]]
        return wire

    within(run_virtually(main()), 100, start=1.0)


@pytest.mark.parametrize(
    ("processes", "rate", "sizes"),
    [
        (1, 1_000_000, [4096] * 1000),
        (16, 1_000_000, [4096] * 1000),
        (4, 8_000_000, [16_000_000] * 2),
        (2, 1_000_000, [100_000] * 40),
        (16, 10_240, [16_000] * 8),
    ],
)
def test_bodies_are_within_5_percent_of_the_limit(
    processes: int, rate: int, sizes: list[int]
) -> None:
    async def main() -> Wire:
        limits = speed(bandwidth=str(rate), processes=processes)
        crew, wire = Crew(limits), Wire(0.02)
        shares = [[bytes(size) for size in sizes[n::processes]] for n in range(processes)]
        await asyncio.gather(*(put_all(crew.add(), wire, each, 32) for each in shares))
        return wire

    wire = run_virtually(main())
    within(wire, rate)
    assert wire.most_in(1.0) <= 1.15 * rate + piece_size(rate)


def test_few_bodies_move_at_a_time_so_that_each_goes_on() -> None:
    """Hundreds of them at 10 kB/s: none is silent for so long that a store would give it up."""

    async def main() -> tuple[Wire, int]:
        crew, wire = Crew(speed(bandwidth="10k", processes=8)), Wire(0.02)
        members = [crew.add() for _ in range(8)]
        tasks = [
            asyncio.ensure_future(put_all(each, wire, [bytes(50_000)] * 64, 64)) for each in members
        ]
        most = 0
        for _ in range(300):
            await asyncio.sleep(0.1)
            most = max(most, wire.moving)
        assert not any(task.done() for task in tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        return wire, most

    wire, most = run_virtually(main())
    assert most <= 16
    assert max(wire.gaps) < 5.0


def test_a_run_that_ends_waits_for_nothing() -> None:
    async def main() -> None:
        crew, wire = Crew(speed(requests="1", bandwidth="1k")), Wire()
        member = crew.add()
        waiting = [asyncio.ensure_future(put(member, wire, bytes(5000))) for _ in range(5)]
        await asyncio.sleep(0.5)
        member.end()
        begun, *others = await asyncio.gather(*waiting, return_exceptions=True)
        assert begun is None  # it was moving
        assert {type(each) for each in others} == {RunEnding}
        await asyncio.wait_for(put(member, wire, bytes(5000)), 0.001)

    run_virtually(main())


def test_what_is_cancelled_leaves_nothing_behind() -> None:
    async def main() -> None:
        crew, wire = Crew(speed(requests="50", bandwidth="10k")), Wire()
        member = crew.add()
        for wait in (0.0, 0.001, 0.002, 0.01, 0.1, 0.5, 1.0):
            tasks = [asyncio.ensure_future(put(member, wire, bytes(8000))) for _ in range(5)]
            await asyncio.sleep(wait)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            assert not member.is_pacing()
        await put(member, wire, bytes(8000))

    run_virtually(main())


def test_a_run_of_one_process_has_the_same_limits() -> None:
    async def main() -> Wire:
        member, wire = own_allowance(speed(requests="100")), Wire()
        assert member is not None
        await put_all(member, wire, [b""] * 300, 16)
        wire.moved = [(when, 1) for when, _ in wire.moved]
        return wire

    within(run_virtually(main()), 100)


def test_without_a_limit_there_is_no_allowance() -> None:
    assert allowance_of(speed(), lambda _: None) is None
    assert own_allowance(speed(requests="off", bandwidth="off")) is None
    assert steady(None).text == "off"
