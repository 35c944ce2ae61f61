"""One deployment, simulated: so many workers, in one run or in runs of their own."""

from __future__ import annotations

import asyncio
import gc
import random
from typing import NamedTuple

from s3.virtual_time import run_virtually

from scaling.figures import Figures, figures_of, regained
from scaling.fleet import Network, Run, Span
from scaling.store import Limits, Store

# S3 user guide, "Performance design patterns": small objects take 100 to 200 ms.
REQUEST = Span(0.1, 0.2)
NEAR, FAR = Span(0.0005, 0.0005), Span(0.002, 0.1)  # messages within a machine, and to others
HANDLING = 65e-6  # seconds of a supervisor for a message, as ``capacity`` measures it
PER_MACHINE = 10  # workers, which are as far away as each other


class Deployment(NamedTuple):
    """Workers, and what they meet."""

    workers: int
    apart: bool  # each is a run of its own, as with ``--shard``; else all are of one, as with Dask
    slots: int  # requests in flight of each
    limits: Limits = Limits(3500.0)  # of each prefix
    prefixes: int = 1
    seconds: int = 10

    @property
    def network(self) -> Network:
        """Workers of one run are on other machines than its supervisor."""
        return Network(REQUEST, NEAR if self.apart else FAR, HANDLING)

    @property
    def limit(self) -> float:
        """Requests a second that the store takes at the start, below all prefixes."""
        return self.limits.rate * self.prefixes


class Outcome(NamedTuple):
    """What came of a deployment."""

    figures: Figures
    messages: float  # a second, from and to all supervisors
    regained: list[float]  # seconds after each split until the new rate was used


def simulate(deployment: Deployment, seed: int) -> Outcome:
    """Simulate a deployment; the same seed brings the same outcome."""
    gc.disable()  # tens of thousands of coroutines live as long as the simulation
    random.seed(seed)  # limiters and backoff draw from it
    try:
        return run_virtually(_simulated(deployment, random.Random(seed)))
    finally:
        gc.enable()


async def _simulated(deployment: Deployment, chance: random.Random) -> Outcome:
    store = Store(deployment.limits, asyncio.get_running_loop().time)
    runs = _runs(deployment, store, chance)
    prefixes = [f"p{number}" for number in range(deployment.prefixes)]
    for run in runs:
        run.start(prefixes, deployment.slots)
    await asyncio.sleep(deployment.seconds)
    for run in runs:
        await run.end()
    end = deployment.seconds
    return Outcome(
        figures_of(store, deployment.limit, workers=deployment.workers, steady=(end // 2, end)),
        sum(run.messages for run in runs) / end,
        regained(store, deployment.limit) if deployment.limits.split_after else [],
    )


def _runs(deployment: Deployment, store: Store, chance: random.Random) -> list[Run]:
    network, apart = deployment.network, deployment.apart
    runs = [Run(store, network, chance) for _ in range(deployment.workers if apart else 1)]
    delay = 0.0
    for number in range(deployment.workers):
        if number % PER_MACHINE == 0:
            delay = network.message.draw(chance)
        runs[number if apart else 0].add(number, deployment.slots, delay)
    return runs
