"""Options about runs of the same job at the same time."""

from __future__ import annotations

from dataclasses import dataclass

from s3pp.option import Value, choice, option

AUTO_LOCK = "auto"  # as the name of the lock: by job
FOREVER = 1e9  # seconds, 31 years: journals are JSON, which has no infinity


@dataclass(frozen=True)
class Locking:
    """The lock that a run holds, and what happens where another run holds it."""

    lock: str | None = option(
        None,
        "--lock",
        Value("FILE|auto"),
        help="run only while no other run holds the lock FILE; auto: one for each job",
    )
    wait: float = option(  # seconds
        0.0,
        "--lock-wait",
        Value("TIME|forever", "lock_wait"),
        help="how long to wait for the lock (default: not at all)",
    )
    if_locked: str = option(
        "skip",
        "--if-locked",
        choice("WHAT", "skip", "fail"),
        help="after that: skip (default) this run, with exit code 75, or fail, with exit code 3",
    )
