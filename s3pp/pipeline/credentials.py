"""The buckets of a run and their credentials: opened once, and refreshed for all children."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

from s3pp.access import Keys
from s3pp.errors import FatalError, S3ppError, UsageError
from s3pp.job import Job, Side
from s3pp.places import NOWHERE, Origin
from s3pp.s3.endpoint import Opened
from s3pp.s3.plain_session import Options
from s3pp.s3.session import Session
from s3pp.transfer.planners import Overlap
from s3pp.transfer.resources import on_thread

PERIOD = 30.0  # seconds between checks of their expiry; botocore refreshes ten minutes before it
FRESH = 5.0  # seconds for which renewed keys answer further requests


class Credentials:
    """The keys in use for one bucket; ``now`` is seconds on a monotonic clock everywhere."""

    def __init__(self, session: Session, keys: Keys | None, now: float) -> None:
        self._session = session
        self.keys = keys
        self._looked = now
        self._renewed = now - FRESH

    def refresh(self, now: float) -> bool:
        """Whether the keys were refreshed since the last check; checks every ``PERIOD``.

        Raises ``S3ppError`` where they have expired and cannot be refreshed.
        """
        if now - self._looked < PERIOD:
            return False
        self._looked = now
        keys = self._session.keys()
        changed, self.keys = keys != self.keys, keys
        return changed

    def renew(self, now: float) -> Keys | None:
        """Load new keys, once for all requests within ``FRESH``; None if there are no others.

        Raises ``FatalError``, with the reason, where it is not possible.
        """
        if now - self._renewed < FRESH:
            return self.keys
        try:
            keys = self._session.renew()
        except S3ppError as error:
            why = f"the store reports expired credentials, and there are no new ones: {error}"
            raise FatalError(why) from None
        if keys is not None:
            self._renewed, self.keys = now, keys
        return keys


class SignIn:
    """Renews keys in a process that has its own session."""

    def __init__(self, session: Session, keys: Keys | None) -> None:
        self._credentials = Credentials(session, keys, time.monotonic())
        self._one_at_a_time = ThreadPoolExecutor(1)

    async def __call__(self) -> Keys | None:
        """Load new keys; concurrent callers get the same ones."""
        return await on_thread(self._one_at_a_time, self._renew)

    def reply(self, keys: Keys | None) -> None:
        """Do nothing: no other process sends keys here."""

    def _renew(self) -> Keys | None:
        return self._credentials.renew(time.monotonic())


class OpenBuckets:
    """The buckets of a job; ``now`` is seconds on a monotonic clock everywhere."""

    def __init__(self, job: Job, now: float, notify: Callable[[str], None]) -> None:
        """Find the buckets. Raises the errors of ``Session.open``; ``notify`` as in ``Session``."""
        self.opened: dict[Side, Opened] = {}
        self._credentials: dict[Side, Credentials] = {}
        session: Session | None = None
        for side in job.sides:
            access, options = job.access_to(side), _options(job, side)
            bucket = _bucket(job, side)
            session = Session(access, bucket, like=session, options=options, notify=notify)
            opened = self.opened[side] = _open(job, side, session)
            self._credentials[side] = Credentials(session, opened.keys, now)
        self._check_apart(job)
        self._check_listed()

    @property
    def probes(self) -> int:
        """The number of requests it took to find them."""
        return len(self.opened)

    def refresh(self, now: float) -> Iterator[Side]:
        """Yield the sides whose keys changed since the last check; checks every ``PERIOD``.

        Raises ``S3ppError`` where keys have expired and cannot be refreshed.
        """
        for side, credentials in self._credentials.items():
            if credentials.refresh(now):
                yield self._update(side)

    def renew(self, side: Side, now: float) -> Keys | None:
        """Load new keys for ``side``, see ``Credentials.renew``."""
        keys = self._credentials[side].renew(now)
        self._update(side)
        return keys

    def _check_listed(self) -> None:
        """Raise ``UsageError`` where another bucket would be listed than is written to."""
        dest, listed = (self.opened.get(side) for side in (Side.DEST, Side.LISTING))
        if dest and listed and not dest.endpoint.same_bucket(listed.endpoint):
            where = f"{listed.endpoint.where}, and the destination {dest.endpoint.where}"
            raise UsageError(f"--list-profile reaches {where}: give both by --endpoint-url")

    def _check_apart(self, job: Job) -> None:
        if job.origin is None or job.dest == NOWHERE:
            return
        source, dest = (self.opened[side].endpoint for side in (Side.SOURCE, Side.DEST))
        origin = job.origin.alone if self.opened[Side.SOURCE].single else job.origin
        if refusal := Overlap.of(origin, job.dest, same=source.same_bucket(dest)).refusal:
            raise UsageError(refusal)

    def _update(self, side: Side) -> Side:
        self.opened[side] = self.opened[side]._replace(keys=self._credentials[side].keys)
        return side


def _bucket(job: Job, side: Side) -> str:
    return _origin(job).bucket if side is Side.SOURCE else job.dest.bucket


def _options(job: Job, side: Side) -> Options:
    """The options to name in messages about this side; the source may share the general ones."""
    if side is Side.LISTING and job.access_to(side).profile != job.access.profile:
        return Options("--list-profile")
    if job.verb != "copy" or side is not Side.SOURCE:
        return Options()
    source, shared = job.access_to(side), job.access
    return Options(
        "--profile" if source.profile == shared.profile else "--source-profile",
        "--endpoint-url" if source.endpoint_url == shared.endpoint_url else "--source-endpoint-url",
        prefix="--source-",
    )


def _open(job: Job, side: Side, session: Session) -> Opened:
    if side is not Side.SOURCE:
        return session.open(job.key_prefix)
    by_name = job.choosing.files_from is not None
    return session.open_source(_origin(job), by_name=by_name)


def _origin(job: Job) -> Origin:
    if job.origin is None:
        raise UsageError(f"{job.verb} has no bucket to read from")
    return job.origin
