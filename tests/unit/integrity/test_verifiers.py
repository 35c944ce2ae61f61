"""Whether a body that came is the object."""

from __future__ import annotations

import hashlib
import zlib
from base64 import b64encode

import pytest
from hypothesis import given
from hypothesis import strategies as st
from transfer.buckets import endpoint, etag_of, response

from s3pp.errors import FailureKind
from s3pp.integrity.stored_object import stored_checksum
from s3pp.integrity.verifiers import (
    Corrupt,
    ExpectedObject,
    ReceivedBody,
    body_in_memory,
    find_fault,
)
from s3pp.records import Dest
from s3pp.s3.answers import Answer
from s3pp.s3.client import Coding
from s3pp.s3.endpoint import Endpoint
from s3pp.s3.retry import StoreError
from s3pp.transfer.errors import source_fault

BODY, PARTS = b"some bytes", "0" * 32 + "-2"


def got(etag: str, *lines: str) -> Answer:
    head = [f'ETag: "{etag}"'] if etag else []
    return Answer(response(*head, "x-amz-request-id: 1", *lines), 1)


def wrong(
    body: bytes,
    answer: Answer,
    listed: Dest | None = None,
    at: Endpoint | None = None,
) -> Corrupt | None:
    """The verdict; the same for a body in memory and one in pieces, its MD5 known or not."""
    listed = listed or Dest(len(BODY), etag_of(BODY))
    expected = ExpectedObject(listed, answer, at or endpoint("bkt"))
    whole = find_fault(body_in_memory(body), expected)
    pieces = [body[:3], body[3:]]
    for md5 in ("", etag_of(body)):
        came = find_fault(ReceivedBody(len(body), md5, lambda: pieces), expected)
        assert str(came) == str(whole)
    assert whole is None or whole.kind is FailureKind.INTEGRITY
    return whole


def checksums(body: bytes) -> dict[str, bytes]:
    from awscrt import checksums as crt

    return {
        "crc32": zlib.crc32(body).to_bytes(4, "big"),
        "crc32c": crt.crc32c(body).to_bytes(4, "big"),
        "crc64nvme": crt.crc64nvme(body).to_bytes(8, "big"),
        "md5": hashlib.md5(body).digest(),
        "sha1": hashlib.sha1(body).digest(),
        "sha256": hashlib.sha256(body).digest(),
        "sha512": hashlib.sha512(body).digest(),
    }


def line(name: str, body: bytes) -> str:
    return f"x-amz-checksum-{name}: {b64encode(checksums(body)[name]).decode()}"


def test_the_object_itself_is_right() -> None:
    assert wrong(BODY, got(etag_of(BODY), f"Content-Length: {len(BODY)}")) is None
    assert wrong(BODY, got(etag_of(BODY))) is None


@pytest.mark.parametrize("body", [b"", b"some bytez", b"some byte", b"some bytes!"])
def test_other_bytes_under_its_etag_are_not(body: bytes) -> None:
    assert wrong(body, got(etag_of(BODY), f"Content-Length: {len(body)}"))
    assert wrong(body, got(etag_of(BODY)))


def test_an_etag_of_parts_that_was_made_as_it_came_proves_the_body() -> None:
    def came(etag: str, answer: Answer, size: int = len(BODY)) -> Corrupt | None:
        listed = Dest(size, PARTS)
        arrived = ReceivedBody(len(BODY), etag, lambda: (BODY,))
        return find_fault(arrived, ExpectedObject(listed, answer, endpoint("bkt")))

    another = line("crc32", b"other bytes")
    assert came(PARTS, got(PARTS, another)) is None
    assert came("1" * 32 + "-2", got(PARTS, another))
    assert came(PARTS, got(PARTS), len(BODY) + 1)
    # It was replaced by what is no multipart object: then the parts say nothing, and the MD5 does.
    assert came(PARTS, got(etag_of(BODY))) is None
    assert came(PARTS, got(etag_of(b"other bytes")))


def test_a_length_that_was_not_announced_is_wrong_whatever_the_etag() -> None:
    assert wrong(BODY, got(PARTS, "Content-Length: 9"), Dest(9, "other"))


def test_the_listed_etag_has_the_listed_size() -> None:
    listed = Dest(len(BODY), PARTS)
    assert wrong(BODY, got(PARTS), listed) is None
    assert wrong(BODY[:-1], got(PARTS, "Content-Length: 9"), listed)
    # Even if the bytes are those of the ETag: one of the two is not telling the truth.
    assert wrong(BODY, got(etag_of(BODY)), Dest(11, etag_of(BODY)))


def test_what_was_replaced_is_held_against_itself() -> None:
    assert wrong(b"new", got(etag_of(b"new"))) is None
    assert wrong(b"new", got("0" * 32))
    assert wrong(b"new", got(PARTS)) is None
    assert wrong(b"new", got(PARTS, line("crc32", b"old")))


def test_a_body_that_no_store_sent_is_no_object() -> None:
    found = wrong(BODY, Answer(response("Content-Type: text/html"), 1))
    assert "no S3 store answers at http" in str(found)


@pytest.mark.parametrize("answered", ["", etag_of(b"new"), PARTS])
def test_without_a_listed_etag_the_new_one_has_to_prove_another_size(answered: str) -> None:
    fine = answered == etag_of(b"new")
    assert (wrong(b"new", got(answered), Dest(len(BODY), "")) is None) == fine
    assert wrong(b"new", got(answered), Dest(3, "")) is None


@pytest.mark.parametrize(
    "name", ["crc32", "crc32c", "crc64nvme", "sha1", "sha256", "sha512", "md5"]
)
@pytest.mark.parametrize("etag", [PARTS, "f" * 32])
def test_a_stored_checksum_decides_where_the_etag_cannot(name: str, etag: str) -> None:
    listed = Dest(len(BODY), etag)
    kms = "x-amz-server-side-encryption: aws:kms"
    assert wrong(BODY, got(etag, kms, line(name, BODY)), listed) is None
    found = wrong(BODY, got(etag, kms, line(name, b"others....")), listed)
    assert found
    assert name in str(found)


def test_a_checksum_of_parts_says_nothing() -> None:
    listed, stored = Dest(len(BODY), PARTS), line("crc32", b"others")
    assert wrong(BODY, got(PARTS, stored, "x-amz-checksum-type: COMPOSITE"), listed) is None
    assert wrong(BODY, got(PARTS, f"{stored}-2"), listed) is None
    assert wrong(BODY, got(PARTS, stored, "x-amz-checksum-type: FULL_OBJECT"), listed)


def test_a_checksum_nobody_here_can_compute_says_nothing() -> None:
    assert stored_checksum(got(PARTS, "x-amz-checksum-xxhash64: abc").response) is None


def test_random_etags_prove_nothing() -> None:
    at = endpoint("bkt--use1-az4--x-s3")
    assert wrong(BODY, got("f" * 32), Dest(len(BODY), "f" * 32), at) is None
    assert wrong(BODY, got("f" * 32, line("crc32", b"other")), Dest(len(BODY), "f" * 32), at)


@pytest.mark.parametrize(
    ("body", "lines", "coding", "advice"),
    [
        (b"packed", ["Content-Encoding: gzip"], Coding.IDENTITY, "compresses what it passes on"),
        (b"longer body", ["Content-Length: 11"], Coding.GZIP, "unpacks what is stored"),
        (b"shorter", [], Coding.GZIP, "unpacks what is stored"),  # of a length nobody told
        (b"shorter", ["Content-Length: 7", "Warning: 214 x"], Coding.GZIP, "unpacks"),
        (
            b"shorter",
            ["Content-Length: 7", "x-goog-stored-content-encoding: gzip"],
            Coding.GZIP,
            "no-transform",
        ),
        (b"shorter", ["Content-Length: 7"], None, ""),
    ],
)
def test_what_was_changed_on_the_way_is_asked_for_in_another_coding(
    body: bytes, lines: list[str], coding: Coding | None, advice: str
) -> None:
    found = wrong(body, got(etag_of(BODY), *lines))
    assert found
    assert found.coding is coding
    assert f"received {len(body)} bytes, but the listing has {len(BODY)}" in str(found)
    assert advice in str(found)
    assert ("turn that off there" in str(found)) == bool(advice)


GZIP_LINE = "Content-Encoding: gzip"


@pytest.mark.parametrize("suffix", ["-gzip", "--gzip", ";gzip"])
def test_an_etag_with_a_suffix_is_of_what_a_proxy_packed(suffix: str) -> None:
    etag = etag_of(BODY)
    found = wrong(BODY, got(etag + suffix, GZIP_LINE))
    assert found
    assert found.coding is Coding.IDENTITY
    assert f"its ETag is {etag}{suffix}, and the listing has {etag}; if " in str(found)
    assert wrong(BODY, got(etag + suffix)) is None  # nothing packed it: it is a new object's
    assert wrong(BODY, got(etag + suffix, GZIP_LINE), Dest(len(BODY), "")) is None
    assert wrong(BODY, got(f"{etag}-br", GZIP_LINE)) is None


@given(st.binary(max_size=50), st.integers(0, 400), st.booleans())
def test_any_flipped_bit_is_found(body: bytes, at: int, whole: bool) -> None:
    bits = bytearray(body or b"x")
    bits[at % len(bits)] ^= 1 << (at % 8)
    body = body or b"x"
    etag = etag_of(body) if whole else PARTS
    stored = [] if whole else [line("crc64nvme", body)]
    assert wrong(body, got(etag, *stored), Dest(len(body), etag)) is None
    assert wrong(bytes(bits), got(etag, *stored), Dest(len(body), etag))


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (StoreError(404, "NoSuchKey", ""), FailureKind.NOT_FOUND),
        (StoreError(404, "HTTP404", ""), FailureKind.NOT_FOUND),
        (StoreError(403, "InvalidObjectState", ""), FailureKind.REJECTED),
    ],
)
def test_what_a_refusal_means_for_the_object(error: StoreError, kind: FailureKind) -> None:
    meant = source_fault(error)
    assert meant is not error
    assert meant.kind is kind


@pytest.mark.parametrize(
    "error", [StoreError(404, "NoSuchBucket", ""), StoreError(403, "AccessDenied", "")]
)
def test_other_refusals_mean_what_they_say(error: StoreError) -> None:
    assert source_fault(error) is error
