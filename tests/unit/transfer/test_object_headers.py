"""The headers of copies, by what was asked for, and whether a stored object has its headers."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3pp.attributes import Objects
from s3pp.s3.answers import Answer
from s3pp.s3.endpoint import Endpoint
from s3pp.s3.exchange import Response
from s3pp.s3.retry import StoreError
from s3pp.transfer.object_headers import NO_REPORT, CopyHeaders, matches_upload, tag_header

from .buckets import DENIED, UNKNOWN, Pairs, Scripted, endpoint, response

ASKED = Objects(
    content_type="text/odd",
    headers=(("Cache-Control", "no-store"), ("x-amz-website-redirect-location", "/there")),
    metadata=(("Colour", "red"),),
    tags=(("a", "b"),),
    acl="private",
    storage_class="GLACIER_IR",
    sse="aws:kms",
    sse_kms_key_id="id",
    checksum="crc32",
)
ALWAYS = {
    "x-amz-acl": "private",
    "x-amz-server-side-encryption": "aws:kms",
    "x-amz-server-side-encryption-aws-kms-key-id": "id",
    "x-amz-storage-class": "GLACIER_IR",
    "x-amz-tagging": "a=b",
    "x-amz-website-redirect-location": "/there",
}
BAD_CLASS = StoreError(400, "InvalidStorageClass", "")


def carrier(objects: Objects, bucket: str = "into") -> CopyHeaders:
    return CopyHeaders(objects, endpoint(bucket))


def source(*lines: str) -> Response:
    return response('ETag: "e"', "Content-Length: 4", *lines)


# CopyObject


def test_a_copy_says_nothing_where_nothing_was_asked() -> None:
    assert list(carrier(Objects()).with_copy("a.txt", "")) == []
    assert list(carrier(Objects()).with_copy("a.txt", "STANDARD")) == []


def test_what_was_asked_for_goes_with_a_copy() -> None:
    """Labels are the source's under directive "copy", whatever was given."""
    headers = carrier(ASKED).with_copy("a.txt", "STANDARD_IA")
    assert dict(headers) == {
        **ALWAYS,
        "x-amz-checksum-algorithm": "CRC32",
        "x-amz-tagging-directive": "REPLACE",
    }
    assert len(headers) == len(dict(headers))


def test_replaced_metadata_goes_with_a_copy() -> None:
    headers = carrier(replace(ASKED, directive="replace")).with_copy("a.txt", "")
    assert dict(headers) == {
        **ALWAYS,
        "x-amz-checksum-algorithm": "CRC32",
        "x-amz-tagging-directive": "REPLACE",
        "x-amz-metadata-directive": "REPLACE",
        "content-type": "text/odd",
        "cache-control": "no-store",
        "x-amz-meta-colour": "red",
    }
    assert len(headers) == len(dict(headers))


@pytest.mark.parametrize(
    ("objects", "key", "kind"),
    [
        (Objects(), "a.txt", "text/plain"),
        (Objects(), "noname", None),
        (Objects(content_type="x/y"), "a.txt", "x/y"),
        (Objects(headers=(("Content-Type", "x/z"),)), "a.txt", "x/z"),
    ],
)
def test_a_replaced_type_is_given_or_guessed(objects: Objects, key: str, kind: str | None) -> None:
    objects = replace(objects, directive="replace")
    assert dict(carrier(objects).with_copy(key, "")).get("content-type") == kind
    assert (
        dict(carrier(objects).with_put(key, source("Content-Type: s/t"), "")).get("content-type")
        == kind
    )


@pytest.mark.parametrize(
    ("name", "bucket", "sent"),
    [
        ("STANDARD_IA", "into", "STANDARD_IA"),
        ("DEEP_ARCHIVE", "into", "DEEP_ARCHIVE"),
        ("EXPRESS_ONEZONE", "into", None),
        ("STANDARD_IA", "into--use1-az4--x-s3", None),
    ],
)
def test_a_storage_class_goes_where_it_can_be(name: str, bucket: str, sent: str | None) -> None:
    assert dict(carrier(Objects(), bucket).with_copy("k", name)).get("x-amz-storage-class") == sent
    put = carrier(Objects(), bucket).with_put("k", source(f"x-amz-storage-class: {name}"), "")
    assert dict(put).get("x-amz-storage-class") == sent


# PUT


def test_what_describes_an_object_goes_with_a_put() -> None:
    lines = {
        "content-type": "text/odd",
        "cache-control": "max-age=1",
        "content-disposition": 'attachment; filename="a: b"',
        "content-encoding": "gzip",
        "content-language": "de",
        "expires": "Wed, 21 Oct 2026 07:28:00 GMT",
        "x-amz-meta-a": "b",
        "x-amz-meta-empty": "",
        "x-amz-website-redirect-location": "/there",
    }
    answer = source(*(f"{name.title()}: {value}" for name, value in lines.items()))
    assert dict(carrier(Objects()).with_put("k", answer, "")) == lines


def test_what_belongs_to_the_store_stays_there() -> None:
    lines = ("x-amz-id-2: x", "x-amz-version-id: v", "x-amz-expiration: e", "Last-Modified: l")
    more = (
        "x-amz-server-side-encryption: aws:kms",
        "x-amz-checksum-crc32: abc",
        "x-amz-restore: r",
    )
    assert list(carrier(Objects()).with_put("k", source(*lines, *more), "")) == []


def test_what_was_asked_for_wins() -> None:
    answer = source(
        "x-amz-storage-class: STANDARD_IA",
        "x-amz-website-redirect-location: /here",
        "x-amz-tagging-count: 2",
        "Cache-Control: max-age=1",
    )
    headers = carrier(ASKED).with_put("k", answer, "STANDARD_IA")
    sdk = {"x-amz-sdk-checksum-algorithm": "CRC32"}
    assert dict(headers) == {**ALWAYS, **sdk, "cache-control": "max-age=1"}
    assert len(headers) == len(dict(headers))
    assert not carrier(ASKED).wants_tags(answer)
    assert carrier(Objects()).wants_tags(answer)
    assert not carrier(Objects()).wants_tags(source())


def test_replaced_metadata_goes_with_a_put() -> None:
    answer = source("Cache-Control: max-age=1", "x-amz-meta-a: b", "Content-Encoding: gzip")
    headers = carrier(replace(ASKED, directive="replace")).with_put("k", answer, "")
    assert dict(headers)["cache-control"] == "no-store"
    assert dict(headers)["x-amz-meta-colour"] == "red"
    assert not {"x-amz-meta-a", "content-encoding"} & set(dict(headers))


def test_a_listing_tells_the_class_where_an_answer_does_not() -> None:
    headers = carrier(Objects()).with_put("k", source(), "STANDARD_IA")
    assert dict(headers) == {"x-amz-storage-class": "STANDARD_IA"}


@pytest.mark.parametrize(
    ("stored", "sent"),
    [
        ("gzip", "gzip"),
        ("aws-chunked", None),
        ("gzip,aws-chunked", "gzip"),
        ("aws-chunked, gzip", "gzip"),
        ("br , AWS-chunked,GZIP", "br,GZIP"),
    ],
)
def test_how_a_body_was_sent_is_no_encoding_of_it(stored: str, sent: str | None) -> None:
    headers = carrier(Objects()).with_put("k", source(f"Content-Encoding: {stored}"), "")
    assert dict(headers).get("content-encoding") == sent


@given(st.binary(max_size=20))
def test_whatever_a_store_says_can_be_sent(value: bytes) -> None:
    line = b"x-amz-meta-a: " + value.replace(b"\n", b"") + b"\r\n"
    answer = source()
    answer = answer._replace(head=answer.head + line)
    (pair,) = carrier(Objects()).with_put("k", answer, "")
    assert pair[1].isascii()
    assert pair[1].isprintable()
    kept = value.replace(b"\n", b"").strip()
    if kept.isascii() and kept.decode().isprintable():
        assert pair[1].encode() == kept


# What is refused


def test_a_refused_class_is_left_out_unless_it_was_asked_for() -> None:
    own, asked = carrier(Objects()), carrier(Objects(storage_class="COLD"))
    headers = own.with_copy("k", "COLD")
    loss = own.without(BAD_CLASS, headers)
    assert loss is not None
    assert (list(loss.headers), "storage class" in loss.note) == ([], True)
    assert own.without(BAD_CLASS, loss.headers) is None
    assert asked.without(BAD_CLASS, asked.with_copy("k", "")) is None


@pytest.mark.parametrize("error", [DENIED, UNKNOWN])
def test_refused_tags_are_left_out_unless_they_were_asked_for(error: StoreError) -> None:
    own, asked = carrier(Objects()), carrier(Objects(tags=(("a", "b"),)))
    loss = own.without(error, [("content-type", "t"), *tag_header([("a", "b")])])
    assert loss is not None
    assert list(loss.headers) == [("content-type", "t")]
    assert own.without(error, loss.headers) is None
    assert asked.without(error, asked.with_put("k", source(), "")) is None


@pytest.mark.parametrize("code", ["InvalidArgument", "InvalidObjectState", "NoSuchKey"])
def test_other_refusals_cost_nothing(code: str) -> None:
    own = carrier(Objects())
    headers = [*own.with_copy("k", "COLD"), *tag_header([("a", "b")])]
    assert own.without(StoreError(403, code, ""), headers) is None
    assert own.without_tags(StoreError(403, code, ""), headers) is None


def test_a_copy_without_tags_is_tried_once() -> None:
    loss = carrier(Objects()).without_tags(DENIED, [("a", "b")])
    assert loss is not None
    assert list(loss.headers) == [("a", "b"), ("x-amz-tagging-directive", "REPLACE")]
    assert carrier(Objects()).without_tags(DENIED, loss.headers) is None


@pytest.mark.parametrize(
    ("objects", "named"),
    [
        (Objects(), {"ACLs", "--acl", "encryption", "website redirects", "locks"}),
        (Objects(acl="private", sse="AES256"), {"website redirects", "locks"}),
    ],
)
def test_what_stays_behind_is_named(objects: Objects, named: set[str]) -> None:
    text = carrier(objects).not_copied
    every = ("ACLs", "--acl", "encryption", "website redirects", "locks")
    assert {word for word in every if word in text} == named
    assert ("ACLs" in text) is (objects.acl is None)


# The headers of stored objects

AWS = Endpoint("https", "bkt.s3.us-east-1.amazonaws.com", "", "us-east-1", "bkt")
ANOTHER = endpoint("bkt")


def has(lines: list[str], wanted: Pairs, tags: object = None, at: Endpoint = AWS) -> bool | str:
    """Whether it does; or what is told, if anything is."""
    store = Scripted(looks=[Answer(response(*lines), 1)], taggings=[tags])
    store.endpoint = at
    told: list[str] = []
    same = asyncio.run(matches_upload(store, "key", wanted, told.append))  # type: ignore[arg-type]
    return told[0] if told else same


CASES = [
    ([], [], True),
    (["Content-Type: text/csv"], [("content-type", "text/csv")], True),
    (["Content-Type: text/csv"], [("content-type", "text/html")], False),
    ([], [("cache-control", "no-store")], False),
    (["Cache-Control: public"], [], True),  # a store may give it by itself
    (["x-amz-meta-a: 1"], [("x-amz-meta-a", "1")], True),
    (["X-Amz-Meta-A: 1"], [("x-amz-meta-a", "1")], True),
    (["x-amz-meta-a: 2"], [("x-amz-meta-a", "1")], False),
    (["x-amz-meta-a: 1", "x-amz-meta-b: 1"], [("x-amz-meta-a", "1")], False),
    (["x-amz-meta-a: 1"], [], False),
    ([], [("x-amz-storage-class", "STANDARD")], True),
    ([], [("x-amz-storage-class", "GLACIER")], False),
    (["x-amz-storage-class: GLACIER"], [("x-amz-storage-class", "GLACIER")], True),
    (["x-amz-server-side-encryption: AES256"], [("x-amz-server-side-encryption", "AES256")], True),
    ([], [("x-amz-server-side-encryption", "aws:kms")], False),
    ([], [("x-amz-acl", "private")], True),  # it cannot be told
    (["x-amz-tagging-count: 1"], [], False),
]


@pytest.mark.parametrize(("lines", "wanted", "same"), CASES)
def test_headers(lines: list[str], wanted: Pairs, same: bool) -> None:
    assert has(lines, wanted) is same


@pytest.mark.parametrize(
    ("lines", "wanted", "same"),
    [
        ([], [("x-amz-storage-class", "GLACIER")], NO_REPORT),
        ([], [("x-amz-website-redirect-location", "/b")], NO_REPORT),
        (["x-amz-meta-mtime: 1"], [], NO_REPORT),
        (
            ["x-amz-meta-mtime: 1", "x-amz-meta-a: 1"],
            [("x-amz-meta-a", "1")],
            NO_REPORT,
        ),
        (["x-amz-meta-mtime: 1", "x-amz-meta-a: 2"], [("x-amz-meta-a", "1")], False),
        (["x-amz-meta-mtime: 1", "x-amz-tagging-count: 1"], [], False),
        (["x-amz-storage-class: OTHER"], [("x-amz-storage-class", "GLACIER")], False),
        ([], [("x-amz-server-side-encryption", "AES256")], False),
        ([], [("cache-control", "no-store")], False),
        ([], [("x-amz-storage-class", "STANDARD")], True),
    ],
)
def test_what_many_stores_do_not_tell_or_add_is_not_held_against_an_object(
    lines: list[str], wanted: Pairs, same: bool | str
) -> None:
    assert has(lines, wanted, at=ANOTHER) == same


@pytest.mark.parametrize(
    ("tags", "same"),
    [
        ([("a b", "c"), ("d", "")], True),
        ([("d", ""), ("a b", "c")], True),
        ([("a b", "c")], False),
        ([], False),
        (DENIED, True),
        (UNKNOWN, True),
    ],
)
def test_tags(tags: object, same: bool) -> None:
    assert has([], [("x-amz-tagging", "a%20b=c&d=")], tags) is same


def test_what_cannot_be_looked_at_is_taken_as_it_is() -> None:
    for look in (None, DENIED):
        store = Scripted(looks=[look])
        assert asyncio.run(matches_upload(store, "key", [("content-type", "x")], print))  # type: ignore[arg-type]


def test_a_store_that_breaks_does_not_pass_for_one_that_agrees() -> None:
    broken = StoreError(500, "InternalError", "")
    for store in (
        Scripted(looks=[broken]),
        Scripted(looks=[Answer(response(), 1)], taggings=[broken]),
    ):
        with pytest.raises(StoreError):
            asyncio.run(matches_upload(store, "key", [("x-amz-tagging", "a=b")], print))  # type: ignore[arg-type]
