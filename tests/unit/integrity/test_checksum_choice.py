"""Which checksum a body is sent with: the table, and what holds of all of it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3pp.attributes import Objects
from s3pp.integrity.checksum_choice import (
    ChecksumReason,
    DestinationTraits,
    Sending,
    Support,
    choose_checksum,
    with_whole_checksum,
)
from s3pp.integrity.checksums import ALGORITHMS
from s3pp.limits import AUTO, CHECKSUMS
from s3pp.s3.endpoint import Endpoint

AWS = Endpoint("https", "b.s3.eu-central-1.amazonaws.com", "", "eu-central-1", "b")
EXPRESS = AWS._replace(bucket="b--use1-az5--x-s3")
OTHER = AWS._replace(host="b.example")
KMS = Objects(sse="aws:kms")
TRAITS = st.builds(DestinationTraits, st.booleans(), st.booleans(), st.sampled_from(Support))


@pytest.mark.parametrize(
    ("endpoint", "objects", "support", "expected"),
    [
        # the checksums of an object sent whole, in parts, and in parts of a stream
        (AWS, Objects(), Support.UNKNOWN, ("md5 WHOLE", "crc64nvme AWS", "crc64nvme AWS")),
        (AWS, Objects(), Support.KEPT, ("md5 WHOLE", "crc64nvme KEPT", "crc64nvme KEPT")),
        (AWS, Objects(), Support.NOT_KEPT, ("md5 WHOLE", "md5 NOT_KEPT", "md5 NOT_KEPT")),
        (AWS, KMS, Support.UNKNOWN, ("crc64nvme NO_MD5", "crc64nvme AWS", "crc64nvme AWS")),
        (EXPRESS, Objects(), Support.UNKNOWN, ("crc64nvme NO_MD5", *["crc64nvme AWS"] * 2)),
        (OTHER, Objects(), Support.UNKNOWN, ("md5 WHOLE", "crc64nvme ASKED", "md5 ONCE")),
        (OTHER, Objects(), Support.KEPT, ("md5 WHOLE", "crc64nvme KEPT", "crc64nvme KEPT")),
        (OTHER, Objects(), Support.NOT_KEPT, ("md5 WHOLE", "md5 NOT_KEPT", "md5 NOT_KEPT")),
        (OTHER, KMS, Support.UNKNOWN, ("md5 WHOLE", "crc64nvme ASKED", "md5 ONCE")),
    ],
)
def test_auto(
    endpoint: Endpoint, objects: Objects, support: Support, expected: tuple[str, ...]
) -> None:
    traits = DestinationTraits.of(objects, endpoint)._replace(support=support)
    chosen = (choose_checksum(AUTO, each, traits, can_compute=True) for each in Sending)
    assert tuple(f"{each.name} {each.reason.name}" for each in chosen) == expected


@given(st.sampled_from(CHECKSUMS[1:]), st.sampled_from(Sending), TRAITS, st.booleans())
def test_what_is_named_is_taken(
    option: str, sending: Sending, traits: DestinationTraits, can_compute: bool
) -> None:
    choice = choose_checksum(option, sending, traits, can_compute=can_compute)
    assert choice == (option, ChecksumReason.GIVEN)


@given(st.sampled_from(Sending), TRAITS, st.booleans())
def test_auto_names_what_can_be_computed_and_never_what_was_refused(
    sending: Sending, traits: DestinationTraits, can_compute: bool
) -> None:
    choice = choose_checksum(AUTO, sending, traits, can_compute=can_compute)
    assert choice.name in ("md5", "crc64nvme")
    assert choice.name == "md5" or can_compute
    refused = traits.support is Support.NOT_KEPT and sending is not Sending.WHOLE
    assert choice.name == "md5" or not refused
    unavailable = choice.reason is ChecksumReason.UNAVAILABLE
    other = choose_checksum(AUTO, sending, traits, can_compute=True)
    assert unavailable == (not can_compute and other.name == "crc64nvme")


def test_of_objects_sent_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without awscrt, Content-MD5 is sent where it is verified by the store alone."""
    assert with_whole_checksum(Objects(), AWS).checksum == "md5"
    assert with_whole_checksum(Objects(checksum="sha256"), EXPRESS).checksum == "sha256"
    assert with_whole_checksum(KMS, AWS).checksum == "crc64nvme"
    assert with_whole_checksum(Objects(), EXPRESS).checksum == "crc64nvme"
    monkeypatch.setattr(type(ALGORITHMS["md5"]), "is_available", property(lambda self: False))
    assert with_whole_checksum(Objects(), EXPRESS).checksum == "md5"
