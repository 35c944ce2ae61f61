"""What bodies wait for under a limit: nothing is forgotten, whatever comes in between."""

from __future__ import annotations

from functools import partial

from hypothesis import example, given
from hypothesis import strategies as st

from s3pp.s3.body_pace import Stock

STEPS = st.tuples(st.sampled_from(["wait", "abandon", "charge", "take", "ask"]), st.integers(1, 99))


@example([("wait", 5), ("ask", 0), ("charge", 3)])
@given(st.lists(STEPS, max_size=30))
def test_whoever_waits_is_served_if_each_demand_is_met(steps: list[tuple[str, int]]) -> None:
    """Also where a body that came with its head is charged while others wait."""
    asks: list[None] = []
    stock = Stock(lambda: asks.append(None))
    waiting = demanded = 0
    served: list[str] = []

    def resume(what: str) -> bool:
        served.append(what)
        return what == "wait"

    for what, amount in [*steps, ("ask", 0)]:
        if what == "charge":
            stock.charge(amount)
        elif what == "take":
            stock.take(amount)
        elif what == "ask":  # demands are sent together, and answered later
            demanded += stock.missing() if asks else 0
            asks.clear()
        else:
            waiting += 1
            stock.wait(amount, partial(resume, what))
    stock.grant(demanded)
    assert len(served) == waiting
