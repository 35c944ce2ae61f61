"""What each object is given: types, headers, metadata, tags, ACLs, encryption, checksums.

Every option is read back from the store.
"""

from __future__ import annotations

import base64
import hashlib
import zlib

import pytest

from commands import Run
from conftest import MakeRecorder, Tree
from stores.store import Bucket, Store

PDF = b"%PDF-1.4\n%\xe2\xe3\xcf\xd3\n1 0 obj\n<< >>\nendobj\n"
UNTYPED = {"binary/octet-stream", "application/octet-stream"}


def types(bucket: Bucket) -> dict[str, str]:
    return {key: bucket.head(key)["ContentType"] for key in sorted(bucket.keys())}


def test_types_are_guessed_by_name(s3pp: Run, bucket: Bucket, tree: Tree) -> None:
    names = ["a.html", "b.json", "c.PNG", "d.txt", "unknown", "g.tar.gz", "h.svg"]
    src = tree(dict.fromkeys(names, PDF))
    assert s3pp("put", src, bucket.url).code == 0
    found = types(bucket)
    assert found.pop("unknown") in UNTYPED
    assert found == {
        "a.html": "text/html",
        "b.json": "application/json",
        "c.PNG": "image/png",
        "d.txt": "text/plain",
        "g.tar.gz": "application/gzip",
        "h.svg": "image/svg+xml",
    }


def test_magic_looks_inside_where_the_name_tells_nothing(
    s3pp: Run, moto_bucket: Bucket, tree: Tree
) -> None:
    png = bytes.fromhex("89504e470d0a1a0a0000000d4948445200000001000000010806000000")
    src = tree({"paper": PDF, "image": png, "named.html": PDF, "empty": b"", "text": "words\n"})
    assert s3pp("put", "--content-type", "magic", src, moto_bucket.url).code == 0
    found = types(moto_bucket)
    assert found.pop("empty") in UNTYPED | {"application/x-empty"}
    assert found == {
        "paper": "application/pdf",
        "image": "image/png",
        "named.html": "text/html",
        "text": "text/plain",
    }


def test_a_fixed_type_is_given_to_all(s3pp: Run, moto_bucket: Bucket, tree: Tree) -> None:
    src = tree({"a.html": b"1", "b": b"2"})
    kind = "text/plain; charset=utf-8"
    assert s3pp("put", "--content-type", kind, src, moto_bucket.url).code == 0
    assert set(types(moto_bucket).values()) == {kind}


def test_headers_metadata_and_acl(s3pp: Run, bucket: Bucket, tree: Tree) -> None:
    result = s3pp(
        "put",
        "--header", "Cache-Control:max-age=60, public",
        "--header", 'content-disposition: attachment; filename="a b.txt"',
        "--header", "Content-Language:de",
        "--metadata", "owner=me=you",
        "--metadata", "Release=1.2",
        "--acl", "public-read",
        tree({"f.txt": b"1", "d/g": b""}), bucket.url,
    )  # fmt: skip
    assert (result.code, result.err) == (0, "")
    for key in ("f.txt", "d/g"):
        head = bucket.head(key)
        assert head["CacheControl"] == "max-age=60, public"
        assert head["ContentDisposition"] == 'attachment; filename="a b.txt"'
        assert head["ContentLanguage"] == "de"
        metadata = {name.lower(): value for name, value in head["Metadata"].items()}
        assert metadata == {"owner": "me=you", "release": "1.2"}
    if "acl" in bucket.store.features:
        assert ("AllUsers", "READ") in bucket.acl("f.txt")
    again = s3pp("put", tree({}), bucket.url)
    assert again.counts.skipped == 2


def test_a_content_type_header_overrides_the_guess(
    s3pp: Run, moto_bucket: Bucket, tree: Tree
) -> None:
    src = tree({"a.html": b"1", "b": b"2"})
    assert s3pp("put", "--header", "Content-Type:x/y", src, moto_bucket.url).code == 0
    assert set(types(moto_bucket).values()) == {"x/y"}


def test_grant_is_another_word_for_acl(s3pp: Run, moto_bucket: Bucket, tree: Tree) -> None:
    src = tree({"f": b"1"})
    assert s3pp("put", "--grant", "authenticated-read", src, moto_bucket.url).code == 0
    assert ("AuthenticatedUsers", "READ") in moto_bucket.acl("f")


def test_metadata_beyond_ascii_comes_back(s3pp: Run, moto_bucket: Bucket, tree: Tree) -> None:
    """S3 takes US-ASCII; other text is refused before sending, or arrives readable (RFC 2047)."""
    result = s3pp("put", "--metadata", "name=Jürgen", tree({"f": b"1"}), moto_bucket.url)
    if result.code == 2:
        assert "metadata" in result.err
        assert moto_bucket.keys() == []
    else:
        from email.header import decode_header, make_header

        assert result.code == 0
        assert str(make_header(decode_header(moto_bucket.head("f")["Metadata"]["name"]))) == (
            "Jürgen"
        )


def test_tags_and_storage_class(s3pp: Run, moto_bucket: Bucket, tree: Tree) -> None:
    result = s3pp(
        "put",
        "--tag", "team=a / b:c",
        "--tag", "cost=1+1=2",
        "--tag", "empty=",
        "--storage-class", "STANDARD_IA",
        tree({"f": b"1"}), moto_bucket.url,
    )  # fmt: skip
    assert (result.code, result.err) == (0, "")
    assert moto_bucket.tags("f") == {"team": "a / b:c", "cost": "1+1=2", "empty": ""}
    assert moto_bucket.head("f")["StorageClass"] == "STANDARD_IA"


def test_encryption(s3pp: Run, moto_bucket: Bucket, tree: Tree) -> None:
    src = tree({"f": b"1"})
    assert s3pp("put", "--sse", "AES256", src, f"{moto_bucket.url}/s3").code == 0
    assert moto_bucket.head("s3/f")["ServerSideEncryption"] == "AES256"
    key = "arn:aws:kms:us-east-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab"
    arguments = ["--sse", "aws:kms", "--sse-kms-key-id", key]
    assert s3pp("put", *arguments, src, f"{moto_bucket.url}/kms").code == 0
    head = moto_bucket.head("kms/f")
    assert (head["ServerSideEncryption"], head["SSEKMSKeyId"]) == ("aws:kms", key)


@pytest.mark.swift
def test_what_a_store_does_not_know_is_refused_with_its_own_words(
    s3pp: Run, swift_bucket: Bucket, tree: Tree
) -> None:
    result = s3pp("put", "--sse", "AES256", tree({"f": b"1"}), swift_bucket.url, timeout=30)
    assert result.code in (1, 3)
    assert "NotImplemented" in result.err
    assert swift_bucket.keys() == []


def crc(polynomial: int, width: int, body: bytes) -> str:
    """A reflected CRC, bit by bit, as S3 writes it: base64 of big-endian bytes."""
    ones = (1 << width) - 1
    register = ones
    for byte in body:
        register ^= byte
        for _ in range(8):
            register = (register >> 1) ^ (polynomial if register & 1 else 0)
    return base64.b64encode((register ^ ones).to_bytes(width // 8, "big")).decode()


BODY = b"123456789"
CHECKSUMS = {
    "crc32": ("ChecksumCRC32", crc(0xEDB88320, 32, BODY)),
    "crc32c": ("ChecksumCRC32C", crc(0x82F63B78, 32, BODY)),
    "crc64nvme": ("ChecksumCRC64NVME", crc(0x9A6C9329AC4BC9B5, 64, BODY)),
    "sha256": ("ChecksumSHA256", base64.b64encode(hashlib.sha256(BODY).digest()).decode()),
}


def test_the_reference_crc_is_right() -> None:
    assert base64.b64decode(CHECKSUMS["crc32"][1]) == zlib.crc32(BODY).to_bytes(4, "big")
    check = "ae8b14860a799888"  # the catalogue's check value of CRC-64/NVME
    assert base64.b64decode(CHECKSUMS["crc64nvme"][1]).hex() == check


@pytest.mark.parametrize("name", ["md5", *CHECKSUMS])
def test_every_checksum_is_sent_and_right(
    s3pp: Run, bucket: Bucket, store: Store, tree: Tree, recorder: MakeRecorder, name: str
) -> None:
    record = recorder(store)
    src = tree({"f": BODY, "big": 300_000})
    result = s3pp("put", "--checksum", name, src, bucket.url, store=record.store)
    assert (result.code, result.err) == (0, "")
    put = next(r for r in record.requests if r.method == "PUT" and r.path.endswith("/f"))
    if name == "md5":
        assert put.headers["content-md5"] == base64.b64encode(hashlib.md5(BODY).digest()).decode()
        return
    field, value = CHECKSUMS[name]
    assert put.headers[f"x-amz-checksum-{name}"] == value
    signed = put.headers["authorization"].partition("SignedHeaders=")[2].partition(",")[0]
    assert f"x-amz-checksum-{name}" in signed.split(";")
    if "checksums" in store.features:
        assert bucket.head("f", ChecksumMode="ENABLED").get(field) == value
    again = s3pp("put", "--checksum", name, src, bucket.url)
    assert again.counts.skipped == 2


def test_metadata_may_be_empty(s3pp: Run, bucket: Bucket, tree: Tree) -> None:
    """Swift verifies the signature, which covers the header that has no value."""
    words = ["--metadata", "empty=", "--metadata", "full=x", tree({"a": b"1"}), bucket.url]
    assert s3pp("put", *words).code == 0
    assert bucket.head("a")["Metadata"] == {"empty": "", "full": "x"}
