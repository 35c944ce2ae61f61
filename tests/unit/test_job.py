"""Places and origins as they are written, and a job as its processes see it."""

from __future__ import annotations

import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3pp.access import Access
from s3pp.errors import UsageError
from s3pp.job import Job
from s3pp.places import Origin, Place, Side, Source, access_point, parse_origin, parse_place

THERE = Access(endpoint_url="https://elsewhere")


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("s3://bkt", Place("bkt")),
        ("s3://bkt/", Place("bkt")),
        ("s3://bkt/p", Place("bkt", "p")),
        ("s3://bkt/p/q/", Place("bkt", "p/q")),
        ("s3://bkt/p//", Place("bkt", "p/")),
        ("s3://bkt/*", Place("bkt", "*")),  # of a destination it is a character like any other
    ],
)
def test_a_place(text: str, place: Place) -> None:
    assert parse_place(text) == place


@pytest.mark.parametrize(
    ("place", "key"),
    [(Place("bkt"), "a/b"), (Place("bkt", "p"), "p/a/b"), (Place("bkt", "p/"), "p//a/b")],
)
def test_a_key_below_a_place(place: Place, key: str) -> None:
    assert place.key("a/b") == key
    assert place.key("") == key.removesuffix("a/b")


@pytest.mark.parametrize(
    ("text", "origin"),
    [
        ("s3://bkt", Origin("bkt")),
        ("s3://bkt/", Origin("bkt")),
        ("s3://bkt/p", Origin("bkt", "p/", 2, "p")),
        ("s3://bkt/p/", Origin("bkt", "p/", 2, "p")),
        ("s3://bkt/p/q", Origin("bkt", "p/q/", 4, "p/q")),
        ("s3://bkt/p//", Origin("bkt", "p//", 3, "p/")),
        ("s3://bkt//", Origin("bkt", "/", 1)),
        ("s3://bkt/*", Origin("bkt")),
        ("s3://bkt/p*", Origin("bkt", "p")),
        ("s3://bkt/p/*", Origin("bkt", "p/", 2)),
        ("s3://bkt/p/q*", Origin("bkt", "p/q", 2)),
        ("s3://bkt/p*/q", Origin("bkt", "p*/q/", 5, "p*/q")),  # only the last one is a star
        ("s3://bkt/p**", Origin("bkt", "p*")),
    ],
)
def test_an_origin(text: str, origin: Origin) -> None:
    assert parse_origin(text) == origin


@pytest.mark.parametrize(
    "text", ["", "bkt", "s3:/bkt", "s3://", "s3:///p", "s3://b/p", "S3://bkt", "http://bkt/p"]
)
@pytest.mark.parametrize("parse", [parse_place, parse_origin])
def test_what_is_neither(parse: object, text: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse(text, "the argument")  # type: ignore[operator]
    assert "the argument" in str(caught.value)
    assert "\n" not in str(caught.value)


ARN = "arn:aws:s3:eu-west-1:123456789012:accesspoint/my-point"
OUTPOST = "arn:aws:s3-outposts:us-west-2:123456789012:outpost/op-1/accesspoint/mine"


@pytest.mark.parametrize(
    "bucket",
    [
        ARN,
        ARN.replace("/", ":"),
        OUTPOST,
        "arn:aws-cn:s3:cn-north-1:123456789012:accesspoint/my.point",
        "arn:aws:s3-object-lambda:us-east-1:123456789012:accesspoint/mine",
        "my-point-hrzrlukc5m36ft7okagglf3gmwluquse1b-s3alias",
    ],
)
@pytest.mark.parametrize("prefix", ["", "p", "p/q", "accesspoint/x", "a:b"])
def test_an_access_point_is_a_bucket(bucket: str, prefix: str) -> None:
    place = parse_place(f"s3://{bucket}/{prefix}")
    assert place == Place(bucket, prefix)
    assert parse_place(str(place)) == place
    assert parse_place(f"s3://{bucket}") == Place(bucket)
    origin = parse_origin(f"s3://{bucket}/logs*")
    assert origin == Origin(bucket, "logs")
    assert parse_origin(str(origin)) == origin


@pytest.mark.parametrize(
    "text",
    [
        "arn:aws:s3:::bucket/key",
        ARN.replace("my-point", "my_point"),
        ARN.replace("123456789012", "1234"),
        f"{ARN}*",
        "arn:aws:s3:eu-west-1:123456789012:accesspoint",
    ],
)
def test_other_arns_are_no_buckets(text: str) -> None:
    with pytest.raises(UsageError, match="neither a bucket name"):
        parse_place(f"s3://{text}")


def test_access_points_of_several_regions_are_refused_with_the_reason() -> None:
    with pytest.raises(UsageError, match="4A"):
        parse_origin("s3://arn:aws:s3::123456789012:accesspoint/mfzwi23gnjvgw.mrap/p")


@pytest.mark.parametrize(
    ("bucket", "label"),
    [(ARN, "my-point-123456789012"), (OUTPOST, "mine-123456789012"), ("bucket", "")],
)
def test_an_access_point_has_a_host_of_its_own(bucket: str, label: str) -> None:
    assert access_point(bucket) == label


KEYS = st.text("ab/*é", min_size=1, max_size=6)


@given(KEYS, st.text("ab/é", max_size=6))
def test_what_is_read_is_named_by_what_follows_the_last_slash_of_the_prefix(
    prefix: str, rest: str
) -> None:
    origin = parse_origin(f"s3://bkt/{prefix}")
    key = origin.prefix + rest
    relative = origin.relative(key)
    assert key.endswith(relative)
    assert len(key) - len(relative) == origin.cut <= len(origin.prefix)
    assert origin.cut == 0 or key[origin.cut - 1] == "/"


@given(KEYS.filter(lambda prefix: not prefix.endswith(("*", "/"))))
def test_the_object_of_an_origins_name_keeps_its_base_name(prefix: str) -> None:
    alone = parse_origin(f"s3://bkt/{prefix}").alone
    assert alone.prefix == prefix
    assert alone.relative(prefix) == prefix.rpartition("/")[2]


@given(KEYS.filter(lambda prefix: not prefix.endswith(("//", "*/"))))
def test_an_origin_is_shown_as_it_can_be_given_again(prefix: str) -> None:
    origin = parse_origin(f"s3://bkt/{prefix}")
    assert parse_origin(str(origin)) == origin


# What a job reads and writes

PUT = Job("put", (Source("a"), Source("b")), Place("into", "p"))
GET = Job("get", origins=(parse_origin("s3://from/p"),), directory="d")
COPY = Job("copy", origins=(parse_origin("s3://from/p*"),), dest=Place("into"), source_access=THERE)
LIST = Job("list", origins=(parse_origin("s3://from"),))


@pytest.mark.parametrize("pickled", [False, True], ids=["here", "in a child"])
@pytest.mark.parametrize(
    ("job", "sides", "reads", "writes"),
    [
        (PUT, [Side.DEST], ("a", "b"), "s3://into/p"),
        (GET, [Side.SOURCE], ("s3://from/p",), "d"),
        (COPY, [Side.SOURCE, Side.DEST], ("s3://from/p*",), "s3://into/"),
        (LIST, [Side.SOURCE], ("s3://from/",), ""),
    ],
    ids=["put", "get", "copy", "list"],
)
def test_the_ends_of_a_job(
    job: Job, sides: list[Side], reads: tuple[str, ...], writes: str, pickled: bool
) -> None:
    """A child that was not forked gets its job pickled, and nothing may hang on identity."""
    seen = pickle.loads(pickle.dumps(job)) if pickled else job
    assert seen == job
    assert list(seen.sides) == sides
    assert seen.reads == reads
    assert seen.writes == writes


@pytest.mark.parametrize("job", [PUT, GET, LIST])
def test_one_access_serves_one_bucket(job: Job) -> None:
    assert {job.access_to(side) for side in (Side.SOURCE, Side.DEST)} == {job.access}


def test_a_copy_may_have_an_access_of_its_own_to_the_source() -> None:
    assert COPY.access_to(Side.SOURCE) == THERE
    assert COPY.access_to(Side.DEST) == COPY.access == Access()
