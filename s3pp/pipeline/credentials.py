"""The buckets of a run and their credentials: opened once, and refreshed for all children."""

from __future__ import annotations

import time
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from s3pp.access import Access, Keys
from s3pp.errors import FatalError, S3ppError, UsageError
from s3pp.job import Job
from s3pp.pipeline.connect import connect, new_loop
from s3pp.places import NOWHERE, Origin, Side, Stores
from s3pp.s3.endpoint import Endpoint, Opened
from s3pp.s3.plain_session import LIST_PROFILE, Options
from s3pp.s3.session import Session, SessionHooks
from s3pp.sources.checking import name_single
from s3pp.transfer.resources import on_thread

if TYPE_CHECKING:
    from s3pp.s3.client import Bucket

PERIOD = 30.0  # seconds between checks of their expiry; botocore refreshes ten minutes before it
_ENDPOINTS = ("--source-endpoint-url", "--endpoint-url")  # of ``Stores``
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


def with_store(job: Job, opened: Opened) -> Job:
    """Return the job of a run of one process, with the only store that it has."""
    end = "source" if job.origins else "dest"
    stores, accounts = {end: opened.endpoint.service}, {end: opened.account}
    return replace(job, stores=Stores(**stores), accounts=Stores(**accounts))


class OpenBuckets:
    """The buckets of a job; ``now`` is seconds on a monotonic clock everywhere."""

    def __init__(self, job: Job, now: float, *hooks: Callable[..., None]) -> None:
        """Find the buckets; ``hooks`` are those of ``SessionHooks``.

        Raises the errors of ``Session.open``.
        """
        self.job = job  # with what the store shows: which origins are single objects
        self.opened: dict[Side, Opened] = {}
        self.probes = 0  # requests that it took to find them
        self._credentials: dict[Side, Credentials] = {}
        self._hooks = SessionHooks(*hooks)
        session: Session | None = None
        for side in job.sides:
            session = self._session(side, session)
            opened = self.opened[side] = self._open(side, session)
            self._credentials[side] = Credentials(session, opened.keys, now)
        self._check_apart()
        self._check_listed()
        stores = self._stores()
        if self.job.applies is not None:
            check_stores(self.job.stores, stores)
        self.job = replace(self.job, stores=stores, accounts=self._accounts())

    def _stores(self) -> Stores:
        return Stores(*(each.endpoint.service if each else "" for each in self._ends))

    def _accounts(self) -> Stores:
        return Stores(*(each.account if each else "" for each in self._ends))

    @property
    def _ends(self) -> list[Opened | None]:
        return [self.opened.get(side) for side in (Side.SOURCE, Side.DEST)]

    def _session(self, side: Side, like: Session | None) -> Session:
        job = self.job
        bucket = job.bucket_of(side)
        access, options = job.access_to(side), _options(job, side)
        session = Session(access, bucket, like=like, options=options, hooks=self._hooks)
        if side != Side.LISTING or access.endpoint_url is not None:
            return session
        dest = self.opened[Side.DEST].endpoint
        if dest.is_aws or not session.open_unverified().endpoint.is_aws:
            return session
        # It names no endpoint; its keys must not be sent to AWS for it.
        there = _at_store_of(dest, access)
        return Session(there, bucket, like=like, options=options, hooks=self._hooks)

    def _open(self, side: Side, session: Session) -> Opened:
        """Open a bucket; if it is read, for all origins in it: some may be single objects."""
        if side.end != "source":
            self.probes += 1
            return session.open("" if side == Side.INVENTORY else self.job.key_prefix)
        if self.job.applies is not None:  # what it reads is in the plan
            self.probes += 1
            return session.open("")
        if self.job.verified is not None:  # or in the journal
            self.probes += 1
            return session.open(self._prefix_of(side))
        origins = list(self.job.origins)
        for number, origin in enumerate(origins):
            if self.job.side_of(origin) == side:
                opened = self._open_source(origin, session)
                self.probes += 1
                if opened.empty and not self.job.unlisted:
                    origins[number] = self._empty(origin)
                elif self._is_single(origin, session, opened):
                    origins[number] = origin.alone
                elif self.job.verb == "remove":
                    self._check_removed(origin, session, opened)
        self.job = name_single(replace(self.job, origins=tuple(origins)))
        return opened

    def _prefix_of(self, side: Side) -> str:
        """What all keys begin with that are looked at in a bucket."""
        return next(each.prefix for each in self.job.origins if self.job.side_of(each) == side)

    def _open_source(self, origin: Origin, session: Session) -> Opened:
        if self.job.deletion.from_empty:
            return session.open(origin.prefix)
        return session.open_source(origin, by_name=self.job.unlisted)

    def _empty(self, origin: Origin) -> Origin:
        if self.job.requires(origin):
            from s3pp.sources.objects import no_such_origin

            raise no_such_origin(self.job, origin)
        if len(self.job.origins) > 1:  # of a single one the end of the run says it
            self._hooks.notify(f"{self.job.title} {origin}: no objects found")
        return replace(origin, is_empty=True)

    def _is_single(self, origin: Origin, session: Session, opened: Opened) -> bool:
        # What is below it, even if nothing is.
        if self.job.unlisted or self.job.deletion.from_empty:
            return False
        if opened.single is not None:
            return opened.single
        from s3pp.sources.objects import is_empty

        # The clocks differ, or the answer was odd: a listing of our own shows it.
        return self._look(is_empty, origin, session, opened)

    def _check_removed(self, origin: Origin, session: Session, opened: Opened) -> None:
        """Refuse a name that is an object and has keys below it: what was left could be next."""
        from s3pp.sources.objects import is_object

        if self.job.unlisted or origin.single is None:
            return
        self.probes += 1
        if self._look(is_object, origin, session, opened):
            raise UsageError(
                f"{origin} is an object, and keys are below it: write {origin}/ to remove those,"
                " or name the object in a list (--files-from)"
            )

    def _look(
        self,
        find: Callable[[Origin, Bucket], Coroutine[Any, Any, bool]],
        origin: Origin,
        session: Session,
        opened: Opened,
    ) -> bool:
        access, renew = self.job.access_to(Side.SOURCE), SignIn(session, opened.keys)

        async def look() -> bool:
            return await find(origin, connect(access, opened, 1, renew=renew))

        return new_loop().run_until_complete(look())

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

    def _check_apart(self) -> None:
        if self.job.dest == NOWHERE or self.job.verifies:  # which may compare a place with itself
            return
        from s3pp.transfer.overlap import Overlap, check_mirrored, check_moved

        dest = self.opened[Side.DEST].endpoint
        for origin in self.job.origins:
            same = self.opened[self.job.side_of(origin)].endpoint.same_bucket(dest)
            if refusal := Overlap.of(origin, self.job.dest, same=same).refusal:
                raise UsageError(refusal)
            if self.job.moves and not same:
                check_moved(origin, self.job.dest)
            if self.job.deletion.extraneous:
                check_mirrored(origin, self.job.dest)

    def _update(self, side: Side) -> Side:
        self.opened[side] = self.opened[side]._replace(keys=self._credentials[side].keys)
        return side


def check_stores(planned: Stores, found: Stores) -> None:
    """Raise ``UsageError`` where a plan was made for another store than is found."""
    for option, wanted, host in zip(_ENDPOINTS, planned, found, strict=True):
        if wanted != host:
            what = f"the plan is for the store {wanted}, and this is {host}"
            raise UsageError(f"{what}: name that of the plan with {option}, or plan again")


def _at_store_of(dest: Endpoint, access: Access) -> Access:
    """Return ``access`` to the store of ``dest``, in its region unless that is named."""
    style = access.addressing or ("path" if dest.in_path else "virtual")
    region = access.region or dest.region
    return replace(access, endpoint_url=dest.store_url, region=region, addressing=style)


def _options(job: Job, side: Side) -> Options:
    """The options to name in messages about this side; the source may share the general ones."""
    if side == Side.LISTING and job.access_to(side).profile != job.access.profile:
        return Options(LIST_PROFILE)
    if job.verb != "copy" or side.end not in ("source", "inventory"):
        return Options()
    source, shared = job.access_to(side), job.access
    return Options(
        "--profile" if source.profile == shared.profile else "--source-profile",
        "--endpoint-url" if source.endpoint_url == shared.endpoint_url else "--source-endpoint-url",
        prefix="--source-",
    )
