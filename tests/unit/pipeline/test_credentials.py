"""The keys of a run: looked at from time to time, renewed once for all who ask."""

from __future__ import annotations

import pytest

from s3pp.access import Keys
from s3pp.errors import FatalError, S3ppError, UsageError
from s3pp.pipeline.credentials import FRESH, PERIOD, Credentials

OLD, NEW, NEWER = Keys("AKIDOLD", "a"), Keys("AKIDNEW", "b", "token"), Keys("AKIDNEWER", "c")
NOW = 1000.0


class Session:
    """Credentials as botocore has them; ``fresh`` is what signing in again gives."""

    def __init__(self, held: Keys | None = OLD, *fresh: Keys | Exception | None) -> None:
        self.held: Keys | Exception | None = held
        self.looks = self.sign_ins = 0
        self._fresh = list(fresh)

    def keys(self) -> Keys | None:
        self.looks += 1
        return given(self.held)

    def renew(self) -> Keys | None:
        self.sign_ins += 1
        return given(self._fresh.pop(0))


def given(answer: Keys | Exception | None) -> Keys | None:
    if isinstance(answer, Exception):
        raise answer
    return answer


def credentials(session: Session) -> Credentials:
    return Credentials(session, OLD, NOW)  # type: ignore[arg-type]


def test_keys_that_were_refreshed_are_noticed() -> None:
    session = Session(OLD)
    ring = credentials(session)
    assert not ring.refresh(NOW + PERIOD)
    session.held = NEW
    assert ring.refresh(NOW + 2 * PERIOD)
    assert ring.keys == NEW
    assert not ring.refresh(NOW + 3 * PERIOD)


def test_they_are_not_looked_at_all_the_time() -> None:
    session = Session(NEW)
    ring = credentials(session)
    assert not any(ring.refresh(NOW + PERIOD * part / 10) for part in range(10))
    assert session.looks == 0
    assert ring.keys == OLD


def test_keys_that_cannot_be_refreshed_are_an_error() -> None:
    session = Session()
    session.held = FatalError("expired")
    with pytest.raises(FatalError, match="expired"):
        credentials(session).refresh(NOW + PERIOD)


def test_all_who_ask_at_about_the_same_time_share_one_sign_in() -> None:
    session = Session(OLD, NEW)
    ring = credentials(session)
    assert [ring.renew(NOW + after) for after in (0, 0, FRESH / 2)] == [NEW] * 3
    assert session.sign_ins == 1
    assert ring.keys == NEW


def test_keys_that_expire_again_are_renewed_again() -> None:
    session = Session(OLD, NEW, NEWER)
    ring = credentials(session)
    assert ring.renew(NOW) == NEW
    assert ring.renew(NOW + 2 * FRESH) == NEWER


@pytest.mark.parametrize("answer", [UsageError("no credentials"), FatalError("refused")])
def test_what_breaks_a_sign_in_ends_the_run_by_name(answer: S3ppError) -> None:
    ring = credentials(Session(OLD, answer))
    with pytest.raises(FatalError, match=str(answer)):
        ring.renew(NOW)


def test_keys_that_nobody_can_renew_are_none() -> None:
    ring = credentials(Session(OLD, None, None))
    assert ring.renew(NOW) is None
    assert ring.renew(NOW) is None, "the next to ask must not get the old ones as new"
