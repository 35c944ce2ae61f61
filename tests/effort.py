"""How many examples hypothesis tries: a fifth of them in the usual run, all with -m thorough."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

ALL = 100  # examples of a test that names no number
SLOW = [HealthCheck.too_slow]  # on a busy machine that is no fault of the strategy
SHARE = 5  # one of so many is tried in the usual run


def choose_effort(*, thorough: bool) -> None:
    """Set how hard every test tries; call it before test modules are imported."""
    # On a busy machine an example takes as long as it takes: the deadline of a test is pytest's.
    count = ALL if thorough else ALL // SHARE
    profile = settings(
        settings.default, max_examples=count, deadline=None, suppress_health_check=SLOW
    )
    settings.register_profile("s3pp", profile)
    settings.load_profile("s3pp")


def examples(count: int) -> int:
    """For ``max_examples`` of a test that tries ``count`` in the thorough run."""
    profile = settings.default
    assert profile is not None  # hypothesis always has one
    return max(1, count * profile.max_examples // ALL)
