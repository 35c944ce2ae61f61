"""The buckets of a run: opened once each, and kept supplied with keys."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest

from s3pp.access import Access, Keys
from s3pp.errors import FatalError, UsageError
from s3pp.job import Choosing, Job
from s3pp.pipeline.credentials import FRESH, PERIOD, OpenBuckets
from s3pp.places import Place, Side, Source, parse_origin, parse_place
from s3pp.s3.endpoint import Endpoint, Opened
from s3pp.s3.plain_session import Options

NOW = 1000.0
OLD, NEW = Keys("AKIDOLD", "a"), Keys("AKIDNEW", "b")
HERE, THERE = Access(), Access(endpoint_url="https://elsewhere:9000")
SINGLES = {"s3://from/file"}


class Session:
    """What a side is reached by: it opens whatever it is asked for."""

    def __init__(
        self, access: Access, bucket: str, *, like: Session | None, options: Options, hooks: object
    ) -> None:
        self.options = options
        self.access = access
        self.bucket = bucket
        self.like = like
        self.meant: list[Any] = []
        self.held: Keys | Exception | None = OLD
        self.fresh: Keys | None = NEW

    def open(self, prefix: str) -> Opened:
        self.meant.append(prefix)
        host = (self.access.endpoint_url or "https://here").removeprefix("https://")
        endpoint = Endpoint("https", host, f"/{self.bucket}", "us-east-1", self.bucket)
        return Opened(endpoint, OLD, None, True)

    def open_unverified(self) -> Opened:
        host = self.access.endpoint_url or PROFILES.get(self.access.profile or "", "https://here")
        endpoint = Endpoint("https", host.removeprefix("https://"), "/into", "us-east-1", "into")
        return Opened(endpoint, OLD, None, True)

    def open_source(self, origin: Any, *, by_name: bool) -> Opened:
        found = self.open(origin)
        return found._replace(single=str(origin) in SINGLES)

    def keys(self) -> Keys | None:
        if isinstance(self.held, Exception):
            raise self.held
        return self.held

    def renew(self) -> Keys | None:
        return self.fresh


@pytest.fixture
def sessions(monkeypatch: pytest.MonkeyPatch) -> list[Session]:
    """The sessions that are made."""
    made: list[Session] = []

    def make(*access_and_bucket: Any, **settings: Any) -> Session:
        made.append(Session(*access_and_bucket, **settings))
        return made[-1]

    monkeypatch.setattr("s3pp.pipeline.credentials.Session", make)
    return made


def put() -> Job:
    return Job("put", (Source("/src"),), Place("into", "p"))


def get() -> Job:
    return Job("get", origins=(parse_origin("s3://from/p"),), directory="d")


def copy(source: str = "s3://from/p", dest: str = "s3://into/q", **more: Any) -> Job:
    return Job("copy", origins=(parse_origin(source),), dest=parse_place(dest), **more)


def listing() -> Job:
    return Job("list", origins=(parse_origin("s3://from"),))


@pytest.mark.parametrize(
    ("job", "opened"),
    [
        (put(), {Side.DEST: "into"}),
        (get(), {Side.SOURCE: "from"}),
        (copy(), {Side.SOURCE: "from", Side.DEST: "into"}),
        (listing(), {Side.SOURCE: "from"}),
    ],
    ids=["put", "get", "copy", "list"],
)
def test_the_sides_of_a_verb_are_opened(
    job: Job, opened: dict[Side, str], sessions: list[Session]
) -> None:
    buckets = OpenBuckets(job, NOW)
    assert {side: each.endpoint.bucket for side, each in buckets.opened.items()} == opened
    assert buckets.probes == len(sessions) == len(opened)
    assert {each.bucket for each in sessions} == set(opened.values())


def test_each_side_is_opened_for_what_is_meant(sessions: list[Session]) -> None:
    job = copy()
    OpenBuckets(job, NOW)
    source, dest = sessions
    assert source.meant == [job.origin]
    assert dest.meant == ["q/"], "its keys begin so"


def test_sides_have_access_of_their_own_and_may_share_a_sign_in(sessions: list[Session]) -> None:
    OpenBuckets(copy(access=HERE, source_access=THERE), NOW)
    source, dest = sessions
    assert (source.access, dest.access) == (THERE, HERE)
    assert (source.like, dest.like) == (None, source)


def test_one_access_serves_both_where_there_is_no_other(sessions: list[Session]) -> None:
    OpenBuckets(copy(access=THERE), NOW)
    assert [each.access for each in sessions] == [THERE, THERE]


@pytest.mark.parametrize(
    ("given", "own", "profile", "endpoint_url"),
    [
        ({}, None, "--profile", "--endpoint-url"),
        ({"profile": "a"}, {"profile": "b"}, "--source-profile", "--endpoint-url"),
        ({}, {"profile": "b"}, "--source-profile", "--endpoint-url"),
        ({"profile": "a"}, {"profile": "a", "region": "r"}, "--profile", "--endpoint-url"),
        ({}, {"endpoint_url": "http://x"}, "--profile", "--source-endpoint-url"),
    ],
)
def test_each_side_is_known_by_the_options_that_reach_it(
    given: dict[str, Any],
    own: dict[str, Any] | None,
    profile: str,
    endpoint_url: str,
    sessions: list[Session],
) -> None:
    OpenBuckets(copy(access=Access(**given), source_access=Access(**own) if own else None), NOW)
    source, dest = sessions
    assert source.options == Options(profile, endpoint_url, "--source-")
    assert dest.options == Options("--profile", "--endpoint-url", "--")


def test_the_source_of_a_get_has_no_options_of_its_own(sessions: list[Session]) -> None:
    OpenBuckets(get(), NOW)
    assert sessions[0].options == Options()


LISTS = Access(profile="lister")
PROFILES = {"keys only": "https://s3.amazonaws.com", "another": "https://another"}


def test_who_lists_uses_the_endpoint_of_the_destination_where_it_names_none(
    sessions: list[Session],
) -> None:
    """With an endpoint of its own, it is not touched."""
    there = Access(endpoint_url="https://there:9000/s3", region="r")
    for profile, url in (("keys only", "https://there:9000/s3"), ("another", None)):
        sessions.clear()
        job = replace(put(), access=there, listing_access=Access(profile=profile))
        with suppress(UsageError):
            OpenBuckets(job, NOW)
        used = sessions[-1].access
        assert (used.profile, used.endpoint_url) == (profile, url)
    assert Options("--list-profile").another_profile == "--list-profile"
    assert Options("--profile", prefix="--source-").another_profile == "--source-profile"


def test_other_credentials_may_list_the_destination(sessions: list[Session]) -> None:
    buckets = OpenBuckets(copy(listing_access=LISTS), NOW)
    assert [*buckets.opened] == [Side.SOURCE, Side.DEST, Side.LISTING]
    _, dest, listing = sessions
    assert (dest.access, listing.access) == (HERE, LISTS)
    assert dest.meant == listing.meant == ["q/"]
    assert listing.options == Options("--list-profile")
    listing.held = NEW
    assert list(buckets.refresh(NOW + PERIOD)) == [Side.LISTING]


def test_what_is_listed_is_what_is_written_to(sessions: list[Session]) -> None:
    elsewhere = Access(endpoint_url="https://elsewhere:9000", profile="lister")
    with pytest.raises(UsageError, match=r"--list-profile reaches https://elsewhere:9000, and "):
        OpenBuckets(copy(listing_access=elsewhere), NOW)


# Source and destination


@pytest.mark.parametrize(
    ("source", "dest"),
    [
        ("s3://both/p", "s3://both/p"),
        ("s3://both", "s3://both"),
        ("s3://both/p*", "s3://both"),
    ],
)
def test_a_copy_onto_itself_is_refused_before_it_begins(
    source: str, dest: str, sessions: list[Session]
) -> None:
    with pytest.raises(UsageError, match="onto itself"):
        OpenBuckets(copy(source, dest), NOW)


def test_a_single_object_onto_itself_is_refused_too(sessions: list[Session]) -> None:
    with pytest.raises(UsageError, match="onto itself"):
        OpenBuckets(copy("s3://from/file", "s3://from"), NOW)
    with pytest.raises(UsageError, match="the object onto itself"):
        OpenBuckets(copy("s3://from/file", "s3://from/file"), NOW)
    OpenBuckets(copy("s3://from/file", "s3://from/file/"), NOW)  # to file/file


def test_a_bucket_of_the_same_name_elsewhere_is_another(sessions: list[Session]) -> None:
    buckets = OpenBuckets(copy("s3://both/p", "s3://both/p", source_access=THERE), NOW)
    assert len(buckets.opened) == 2


@pytest.mark.parametrize("dest", ["s3://from/q", "s3://from/p/below", "s3://from"])
def test_other_places_in_one_bucket_are_for_the_planner(dest: str, sessions: list[Session]) -> None:
    assert len(OpenBuckets(copy(dest=dest), NOW).opened) == 2


# Keys


def test_those_whose_keys_were_refreshed_are_told(sessions: list[Session]) -> None:
    buckets = OpenBuckets(copy(), NOW)
    sessions[1].held = NEW
    assert list(buckets.refresh(NOW + PERIOD / 2)) == []
    assert list(buckets.refresh(NOW + PERIOD)) == [Side.DEST]
    assert buckets.opened[Side.DEST].keys == NEW, "for a worker that is started now"
    assert buckets.opened[Side.SOURCE].keys == OLD
    assert list(buckets.refresh(NOW + 3 * PERIOD)) == []


def test_keys_that_cannot_be_refreshed_are_an_error(sessions: list[Session]) -> None:
    buckets = OpenBuckets(get(), NOW)
    sessions[0].held = FatalError("the token has expired")
    with pytest.raises(FatalError, match="expired"):
        list(buckets.refresh(NOW + PERIOD))


def test_one_side_is_renewed_without_the_other(sessions: list[Session]) -> None:
    buckets = OpenBuckets(copy(), NOW)
    assert buckets.renew(Side.SOURCE, NOW + FRESH) == NEW
    assert buckets.opened[Side.SOURCE].keys == NEW
    assert buckets.opened[Side.DEST].keys == OLD


def test_where_there_are_no_other_keys_the_old_ones_stay(sessions: list[Session]) -> None:
    buckets = OpenBuckets(get(), NOW)
    sessions[0].fresh = None
    assert buckets.renew(Side.SOURCE, NOW + FRESH) is None
    assert buckets.opened[Side.SOURCE].keys == OLD


def test_a_job_that_reads_a_bucket_names_it(sessions: list[Session]) -> None:
    """A choice of objects alone opens nothing."""
    buckets = OpenBuckets(Job("put", (Source("/src"),), choosing=Choosing(limit=1)), NOW)
    assert buckets.opened == {}
    assert buckets.probes == 0
