"""What an ETag proves."""

from __future__ import annotations

from contextlib import nullcontext

import pytest
from hypothesis import given
from hypothesis import strategies as st
from transfer.buckets import endpoint

from s3pp.errors import FailureKind
from s3pp.integrity.etag import MD5Mismatch, check_md5, is_md5, proves_content
from s3pp.s3.answers import Answer
from s3pp.s3.exchange import Response

MD5 = "0123456789abcdef" * 2
SSE = "x-amz-server-side-encryption"


@given(st.binary(min_size=16, max_size=16), st.integers(1, 10_000))
def test_an_md5_is_one_and_that_of_parts_is_none(digest: bytes, parts: int) -> None:
    assert is_md5(digest.hex())
    assert not is_md5(f"{digest.hex()}-{parts}")
    assert not is_md5(f'"{digest.hex()}"')


@pytest.mark.parametrize("etag", ["", MD5[:-1], MD5 + "0", MD5 + "\n", MD5.upper(), "g" * 32])
def test_what_only_looks_like_one_is_none(etag: str) -> None:
    assert not is_md5(etag)
    assert not proves_content(etag, Response(200, b"", b""), endpoint("bucket"))


@pytest.mark.parametrize(
    ("line", "proves"),
    [
        ("Content-Length: 1", True),
        (f"{SSE}: AES256", True),
        (f"{SSE}: aws:kms", False),
        ("X-Amz-Server-Side-Encryption:aws:kms", False),
        (f"{SSE}: aws:kms:dsse", False),
        (f"{SSE}-customer-algorithm: AES256", False),
        (f"{SSE}-bucket-key-enabled: true", True),  # without the line before it means nothing
    ],
)
def test_encryption_with_other_keys_than_the_stores_own_makes_it_random(
    line: str, proves: bool
) -> None:
    response = Response(200, b"".join([b"HTTP/1.1 200 OK\r\n", f"{line}\r\n".encode()]), b"")
    assert proves_content(MD5, response, endpoint("bucket")) is proves
    assert not proves_content(f"{MD5}-1", response, endpoint("bucket"))


def test_in_a_directory_bucket_it_is_random() -> None:
    response = Response(200, b"", b"")
    assert not proves_content(MD5, response, endpoint("bucket--use1-az4--x-s3"))
    assert proves_content(MD5, response, endpoint("bucket--x-s3-not"))


def test_a_mismatch_names_both() -> None:
    error = MD5Mismatch(MD5, "other")
    assert error.kind is FailureKind.INTEGRITY
    assert MD5 in str(error)
    assert "other" in str(error)


@pytest.mark.parametrize(
    ("lines", "md5", "wrong"),
    [
        ((), "f" * 32, True),
        ((), MD5, False),
        ((), "", False),  # nobody computed it
        ((f"{SSE}: aws:kms",), "f" * 32, False),
    ],
)
def test_an_answer_is_held_against_the_md5_of_what_was_sent(
    lines: tuple[str, ...], md5: str, wrong: bool
) -> None:
    head = [f"{line}\r\n".encode() for line in ("", f'ETag: "{MD5}"', *lines)]
    with pytest.raises(MD5Mismatch) if wrong else nullcontext():
        check_md5(Answer(Response(200, b"".join(head), b""), 1), md5, endpoint("bucket"))
