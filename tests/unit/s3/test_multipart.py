"""Multipart uploads: part layout, requests on the wire, and listings of incomplete ones."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from hashlib import sha256
from typing import Any, TypeVar
from urllib.parse import parse_qsl, quote, urlsplit
from xml.sax.saxutils import escape

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3pp.errors import FailureKind, ObjectError
from s3pp.limits import (
    DEFAULT_MULTIPART_THRESHOLD,
    DEFAULT_PART_SIZE,
    EQUAL_PARTS,
    GIB,
    MAX_OBJECT,
    MAX_PART,
    MAX_PARTS,
    MIB,
    MIN_PART,
)
from s3pp.records import Span
from s3pp.s3.exchange import Request, Response, WireError
from s3pp.s3.listing import AGAIN, MOST_EMPTY_PAGES, ListingError
from s3pp.s3.multipart import (
    COMPLETING,
    NewUpload,
    PartTarget,
    Spans,
    UnequalSpans,
    Uploads,
    are_part_sizes_valid,
    count_of,
    growing_part_size,
    is_upload_missing,
    part_size,
)
from s3pp.s3.retry import StoreError
from s3pp.s3.upload_listing import Part, Upload, parse_parts, parse_uploads

from .test_client import TIMEOUT, Script, run, said

TIB = 1024 * GIB
SIZES = st.integers(0, MAX_OBJECT) | st.integers(0, 2 * GIB)
WANTED = st.integers(1, 2 * MAX_PART)


@given(st.integers(MIN_PART, MAX_PART))
def test_parts_of_unknown_numbers_are_equal_at_first_and_always_suffice(first: int) -> None:
    sizes = [growing_part_size(number, first) for number in range(1, MAX_PARTS + 1)]
    assert set(sizes[:EQUAL_PARTS]) == {first}
    assert sizes == sorted(sizes)
    assert sizes[-1] <= MAX_PART
    assert sum(sizes) > 5 * TIB
    with pytest.raises(ObjectError, match="raise --part-size"):
        growing_part_size(MAX_PARTS + 1, first)


@pytest.mark.parametrize(
    ("size", "wanted", "expected"),
    [
        (0, 16 * MIB, 16 * MIB),
        (1, 16 * MIB, 16 * MIB),
        (GIB, 1, MIN_PART),
        (GIB, MIN_PART - 1, MIN_PART),
        (GIB, MAX_PART + 1, MAX_PART),
        (GIB, TIB, MAX_PART),
        (GIB, 5_500_000, 5_500_000),  # nobody asked for whole MiB
        (MAX_PARTS * 16 * MIB, 16 * MIB, 16 * MIB),
        (MAX_PARTS * 16 * MIB + 1, 16 * MIB, 17 * MIB),
        (MAX_PARTS * 5_500_000 + 1, 5_500_000, 6 * MIB),
        (500 * GIB, 16 * MIB, 52 * MIB),
        (5 * TIB, 16 * MIB, 525 * MIB),
        (MAX_OBJECT, 16 * MIB, 4769 * MIB),
        (MAX_OBJECT, MAX_PART, MAX_PART),
    ],
)
def test_a_part_size_grows_no_more_than_it_must(size: int, wanted: int, expected: int) -> None:
    assert part_size(size, wanted) == expected


def test_more_than_an_object_holds_has_no_part_size() -> None:
    with pytest.raises(ObjectError) as caught:
        part_size(MAX_OBJECT + 1, MAX_PART)
    assert caught.value.kind is FailureKind.TOO_LARGE
    assert "50 TB" in str(caught.value)


@given(st.lists(st.integers(1, 2 * MAX_PART), min_size=1))
def test_parts_by_their_sizes(sizes: list[int]) -> None:
    plan = UnequalSpans(sizes)
    assert [span.size for span in plan] == sizes
    assert [span.offset for span in plan] == [sum(sizes[:n]) for n in range(len(sizes))]
    assert [span.number for span in plan] == list(range(1, len(plan) + 1))
    assert (plan.size, plan.part_size, len(plan)) == (sum(sizes), max(sizes), len(sizes))
    within = all(MIN_PART <= each <= MAX_PART for each in sizes[:-1])
    assert are_part_sizes_valid(sizes) == (within and sizes[-1] <= MAX_PART)
    for number in (0, len(sizes) + 1):
        with pytest.raises(IndexError):
            plan.span(number)


def test_an_empty_last_part_is_not_allowed() -> None:
    assert not are_part_sizes_valid([MIN_PART, 0])


@given(SIZES, WANTED)
def test_part_sizes_keep_to_the_limits(size: int, wanted: int) -> None:
    each = part_size(size, wanted)
    assert MIN_PART <= each <= MAX_PART
    assert count_of(size, each) <= MAX_PARTS
    within = min(max(wanted, MIN_PART), MAX_PART)
    if each != within:
        assert each % MIB == 0
        assert count_of(size, within) > MAX_PARTS
        assert count_of(size, each - MIB) > MAX_PARTS  # no MiB more than needed
    assert part_size(size, each) == each


@pytest.mark.parametrize(
    ("size", "each", "expected"),
    [
        (0, 5, [Span(1, 0, 0)]),
        (1, 5, [Span(1, 0, 1)]),
        (5, 5, [Span(1, 0, 5)]),
        (6, 5, [Span(1, 0, 5), Span(2, 5, 1)]),
        (10, 5, [Span(1, 0, 5), Span(2, 5, 5)]),
    ],
)
def test_spans_at_the_edges(size: int, each: int, expected: list[Span]) -> None:
    found = Spans(size, each)
    assert list(found) == list(found) == expected
    assert found.count == len(found) == len(expected)


@given(SIZES, WANTED)
def test_spans_tile_the_object(size: int, wanted: int) -> None:
    found = Spans(size, part_size(size, wanted))
    at = 0
    for number, span in enumerate(found, 1):
        assert span == found.span(number) == Span(number, at, span.size)
        assert span.size == found.part_size or number == found.count
        assert 0 < span.size <= found.part_size or size == 0
        at += span.size
    assert at == size
    assert number == found.count


@pytest.mark.parametrize("number", [-1, 0, 4])
def test_a_part_that_is_not_there_is_none(number: int) -> None:
    with pytest.raises(IndexError):
        Spans(3, 1).span(number)


def test_the_defaults_go_together() -> None:
    assert MIN_PART <= DEFAULT_PART_SIZE <= DEFAULT_MULTIPART_THRESHOLD <= MAX_PART


T = TypeVar("T")
GONE = said(404, "NoSuchUpload")
DONE = said(200, body=b"<CompleteMultipartUploadResult><ETag>&quot;abc-2&quot;</ETag></C>")
BEGUN = "2026-11-20T08:30:00.000Z"


def collect(found: AsyncIterator[T]) -> list[T]:
    async def main() -> list[T]:
        return [each async for each in found]

    return run(main())


def query(request: Request) -> dict[str, str]:
    return dict(parse_qsl(urlsplit(request.url).query, keep_blank_values=True))


def document(root: str, *leaves: tuple[str, str], more: str = "") -> Response:
    told = "".join(f"<{name}>{value}</{name}>" for name, value in leaves)
    return said(200, body=f'<{root} xmlns="http://s3/">{told}{more}</{root}>'.encode())


def upload_page(
    uploads: Iterable[Upload], marker: tuple[str, str] | None = None, *, url: bool = True
) -> Response:
    spelt: Callable[[str], str] = quote if url else escape
    leaves = [("EncodingType", "url")] if url else []
    leaves += [("IsTruncated", "true" if marker else "false")]
    if marker:
        leaves += [("NextKeyMarker", spelt(marker[0])), ("NextUploadIdMarker", escape(marker[1]))]
    told = "".join(
        f"<Upload><Key>{spelt(each.key)}</Key><UploadId>{escape(each.id)}</UploadId>"
        f"<Owner><ID>me</ID></Owner><Initiated>{each.initiated}</Initiated></Upload>"
        for each in uploads
    )
    return document("ListMultipartUploadsResult", *leaves, more=told)


def part_page(parts: Iterable[Part], marker: int | None = None) -> Response:
    leaves = [("IsTruncated", "true" if marker else "false")]
    leaves += [("NextPartNumberMarker", str(marker))] if marker else []
    told = "".join(
        f"<Part><PartNumber>{each.number}</PartNumber><ETag>&quot;{each.etag}&quot;</ETag>"
        f"{checksum(each)}<Size>{each.size}</Size></Part>"
        for each in parts
    )
    return document("ListPartsResult", *leaves, more=told)


def checksum(part: Part) -> str:
    if part.checksum is None:
        return ""
    name, value = part.checksum
    return f"<Checksum{name.upper()}>{value}</Checksum{name.upper()}>"


class Endless(Script):
    """A wire that gives the same answer for ever."""

    def __init__(self, answer: Callable[[Request], Response]) -> None:
        super().__init__()
        self._answer = answer

    async def send(self, request: Request) -> Response:
        self.sent.append(request)
        return self._answer(request)


# Creating


def test_an_upload_is_begun_with_the_headers_of_its_object() -> None:
    script = Script(document("InitiateMultipartUploadResult", ("UploadId", "id&amp;1")))
    uploads = Uploads(script.bucket())
    assert run(uploads.create("a b/c", headers=[("x-amz-meta-k", "v")])) == NewUpload("id&1")
    (sent,) = script.sent
    assert (sent.method, sent.url) == ("POST", "http://127.0.0.1:9000/bucket/a%20b/c?uploads=")
    assert script.header(0, "x-amz-meta-k") == "v"
    assert script.header(0, "x-amz-content-sha256") == sha256(b"").hexdigest()


def test_an_upload_without_an_id_is_none() -> None:
    script = Script(document("InitiateMultipartUploadResult", ("UploadId", "")))
    with pytest.raises(StoreError, match="without an id"):
        run(Uploads(script.bucket()).create("a"))


# Parts


def test_a_part_goes_to_its_slot() -> None:
    script = Script(said(503, "SlowDown"), said(200, "", b'ETag: "abc"\r\n'))
    uploads = Uploads(script.bucket())
    answer = run(
        uploads.send(
            PartTarget("a/b", "x/y+z=", 10_000),
            body=b"body",
            headers=[("content-md5", "m")],
            payload_hash="hash",
        )
    )
    assert (answer.etag, answer.attempts) == ("abc", 2)
    for at, sent in enumerate(script.sent):
        assert (sent.method, sent.body) == ("PUT", b"body")
        assert urlsplit(sent.url).path == "/bucket/a/b"
        assert urlsplit(sent.url).query == "partNumber=10000&uploadId=x%2Fy%2Bz%3D"
        assert script.header(at, "content-md5") == "m"
        assert script.header(at, "x-amz-content-sha256") == "hash"


def copied(script: Script) -> Any:
    pin = ("x-amz-copy-source-if-match", "e")
    slot, source = PartTarget("a", "id", 3), ("from", "ü b")
    return run(Uploads(script.bucket()).copy(slot, source, headers=[pin], size=5 << 30))


def test_a_part_is_copied() -> None:
    script = Script(document("CopyPartResult", ("ETag", "&quot;abc&quot;")))
    assert copied(script).etag == "abc"
    assert script.header(0, "x-amz-copy-source") == "from/%C3%BC%20b"
    assert script.header(0, "x-amz-copy-source-if-match") == "e"
    assert query(script.sent[0]) == {"partNumber": "3", "uploadId": "id"}
    assert script.sent[0].patience > 500  # 5 GiB take their time


@pytest.mark.parametrize("half", ["", "<CopyPartResult/>", "<Error><Code>InternalError</Code>"])
def test_a_copy_that_ends_in_an_error_is_none(half: str) -> None:
    broken = said(200, body=half.encode() or b" ")
    good = document("CopyPartResult", ("ETag", "abc"))
    assert copied(Script(broken, broken, good)).etag == "abc"
    with pytest.raises(StoreError) as caught:
        copied(Script(*[broken] * 4))
    assert caught.value.kind is FailureKind.STORE


# Completing


def complete(script: Script, parts: Sequence[tuple[int, str]] = ((1, "a"),), **more: Any) -> Any:
    return run(Uploads(script.bucket()).complete("k/1", "id", parts, **more))


def test_parts_are_named_in_order_with_what_their_uploads_want() -> None:
    script = Script(DONE)
    told = complete(
        script,
        [(2, 'b<&"'), (10, "c"), (1, "a")],
        headers=[("if-none-match", "*")],
        checksums={2: ("crc32c", "AA&=="), 10: ("crc64nvme", "B")},
    )
    assert told.etag == "abc-2"
    (sent,) = script.sent
    assert (sent.method, sent.url) == ("POST", "http://127.0.0.1:9000/bucket/k/1?uploadId=id")
    assert isinstance(sent.body, bytes)
    body = sent.body.decode()
    assert re.findall(r"<PartNumber>(\d+)", body) == ["1", "2", "10"]
    assert '<ETag>&quot;b&lt;&amp;"&quot;</ETag><ChecksumCRC32C>AA&amp;==</' in body
    assert "<ETag>&quot;c&quot;</ETag><ChecksumCRC64NVME>B</ChecksumCRC64NVME>" in body
    assert script.header(0, "x-amz-content-sha256") == sha256(sent.body).hexdigest()
    assert script.header(0, "if-none-match") == "*"
    assert sent.patience == COMPLETING


@pytest.mark.parametrize(
    "passing",
    [
        said(200, body=b"\n \n<Error><Code>InternalError</Code></Error>"),
        said(200, body=b"   "),
        said(503, "SlowDown"),
        WireError(TIMEOUT, "timed out"),
    ],
    ids=["error in a 200", "cut", "503", "no answer"],
)
def test_a_completion_is_asked_again_for_what_passes(passing: Response | Exception) -> None:
    script = Script(passing, DONE)
    assert complete(script).answer.attempts == 2
    assert script.sent[0].body == script.sent[1].body


def test_what_may_have_succeeded_and_is_gone_can_be_told_from_a_refusal() -> None:
    with pytest.raises(StoreError) as caught:
        complete(Script(WireError(TIMEOUT, "timed out"), GONE))
    assert (caught.value.status, caught.value.code) == (404, "NoSuchUpload")
    assert is_upload_missing(caught.value)
    late = said(200, body=b"<Error><Code>NoSuchUpload</Code></Error>")
    with pytest.raises(StoreError) as caught:
        complete(Script(*[late] * 4))
    assert is_upload_missing(caught.value)
    with pytest.raises(StoreError) as caught:
        complete(Script(said(412, "PreconditionFailed")))
    assert not is_upload_missing(caught.value)


# Aborting


def abort(script: Script) -> bool:
    return run(Uploads(script.bucket()).abort("a/b", "i&d"))


def test_an_upload_is_aborted() -> None:
    script = Script(said(503), said(204))
    assert abort(script) is True
    assert script.sent[0].method == "DELETE"
    assert script.sent[0].url == "http://127.0.0.1:9000/bucket/a/b?uploadId=i%26d"


def test_aborting_what_is_gone() -> None:
    assert abort(Script(GONE)) is False
    assert abort(Script(said(404, "NoSuchKey"))) is False
    for refusal in (said(403, "AccessDenied"), said(404, "NoSuchBucket")):
        with pytest.raises(StoreError):
            abort(Script(refusal))


# Unfinished uploads


def unfinished(script: Script, prefix: str = "") -> list[Upload]:
    return collect(Uploads(script.bucket()).list_uploads(prefix))


def many(count: int) -> list[Upload]:
    return [Upload(f"p/ü +%&<{at // 3:04}", f"i<{at:05}", BEGUN) for at in range(count)]


@pytest.mark.parametrize("url", [True, False])
def test_every_page_of_uploads(url: bool) -> None:
    found = many(2500)
    pages = [found[:1000], found[1000:2000], found[2000:]]
    markers = [pages[0][-1][:2], pages[1][-1][:2], None]
    script = Script(*(upload_page(*page, url=url) for page in zip(pages, markers, strict=True)))
    assert unfinished(script, "p/ü +") == found
    asked = [query(request) for request in script.sent]
    assert asked[0] == {"uploads": "", "prefix": "p/ü +"}
    for told, marker in zip(asked[1:], markers, strict=False):
        assert marker is not None
        assert (told["key-marker"], told["upload-id-marker"]) == marker


def test_a_marker_that_is_not_encoded_as_the_keys_are() -> None:
    """Swift's, that is."""
    upload = Upload("a%2Bb +", "1", BEGUN)
    first = upload_page([upload], ("a%2Bb +", "1"))
    body = first.body.replace(quote(quote("a%2Bb +")).encode(), b"")
    told = body.replace(f"<NextKeyMarker>{quote('a%2Bb +')}".encode(), b"<NextKeyMarker>a%2Bb +")
    assert told != first.body
    script = Script(first._replace(body=told), upload_page([]))
    assert unfinished(script) == [upload]
    assert query(script.sent[1])["key-marker"] == "a%2Bb +"


CONTROL = [Upload("a\x01 +%41é", "1", BEGUN), Upload("b\x1f", "2", BEGUN)]
ENCODING = re.compile("<EncodingType>url</EncodingType>")


def untold(page: Response) -> Response:
    """As Ceph RGW answers: what is encoded, and does not say so."""
    return page._replace(body=ENCODING.sub("", page.body.decode()).encode())


@pytest.mark.parametrize("number", [False, True], ids=["raw", "by number"])
@pytest.mark.parametrize("says", [False, True])
def test_keys_that_are_no_xml_are_asked_for_encoded(number: bool, says: bool) -> None:
    """And the next page as it is."""
    page = upload_page(CONTROL, ("b\x1f", "2"), url=False)
    if number:
        page = page._replace(body=page.body.replace(b"\x01", b"&#x1;").replace(b"\x1f", b"&#31;"))
    encoded = upload_page(CONTROL, ("b\x1f", "2"))
    script = Script(page, encoded if says else untold(encoded), upload_page(many(1), url=False))
    assert unfinished(script) == [*CONTROL, *many(1)]
    asked = [query(request) for request in script.sent]
    assert [each.get("encoding-type") for each in asked] == [None, "url", None]
    assert asked[2]["key-marker"] == "b\x1f"


def test_a_store_that_stumbles_over_keys_that_are_no_xml() -> None:
    """OpenStack Swift."""
    script = Script(*[said(500, "InternalError")] * 4, upload_page(CONTROL))
    assert unfinished(script) == CONTROL
    with pytest.raises(StoreError):
        unfinished(Script(said(403, "AccessDenied")))


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]), min_size=1), max_size=9))
def test_what_was_asked_for_encoded_is_read_by_what_it_holds(keys: list[str]) -> None:
    """SeaweedFS says that it encodes, and does not."""
    uploads = [Upload(key, "1", BEGUN) for key in keys]
    for page in (upload_page(uploads), untold(upload_page(uploads))):
        assert parse_uploads(page.body, encoded=True).uploads == uploads
    raw = [Upload(f"é {at} +%41", "1", BEGUN) for at in range(len(keys))]
    page = upload_page(raw, url=False)
    said_so = page._replace(
        body=page.body.replace(b"<IsTr", b"<EncodingType>url</EncodingType><IsTr")
    )
    for each in (page, said_so):
        assert parse_uploads(each.body, encoded=True).uploads == raw


def test_parts_of_a_key_that_is_no_xml() -> None:
    page = part_page(PARTS[:2])
    body = page.body.replace(b"<IsTruncated>", b"<Key>a&#x1;\x02</Key><IsTruncated>")
    assert parts(Script(page._replace(body=body))) == PARTS[:2]


@pytest.mark.parametrize("listed", [False, True])
def test_whether_one_that_is_said_to_be_gone_is_listed(listed: bool) -> None:
    uploads = [Upload("a", "1", BEGUN), Upload("a", "2" if listed else "3", BEGUN)]
    script = Script(upload_page(uploads, url=False))
    assert run(Uploads(script.bucket()).is_listed(Upload("a", "2", BEGUN))) is listed


def test_a_store_that_knows_no_prefix() -> None:
    script = Script(upload_page([Upload("a", "1", BEGUN), Upload("b", "2", BEGUN)]))
    assert unfinished(script, "b") == [Upload("b", "2", BEGUN)]


def test_no_uploads() -> None:
    assert unfinished(Script(upload_page([]))) == []


@pytest.mark.parametrize(
    "page",
    [
        document("ListMultipartUploadsResult", ("IsTruncated", "true")),
        document("ListMultipartUploadsResult", more="<Upload><Key>a</Key></Upload>"),
        document("ListBucketResult"),
        said(200, body=b"<ListMultipartUploadsResult>"),
        said(200, body=b" "),
        document("ListMultipartUploadsResult", ("NextKeyMarker", "%ff"), ("EncodingType", "url")),
    ],
    ids=["truncated", "no id", "another document", "cut", "nothing", "not UTF-8"],
)
def test_a_page_of_uploads_that_cannot_be_trusted(page: Response) -> None:
    script = Script(*[page] * 9)
    with pytest.raises(ListingError):
        unfinished(script)
    assert len(script.sent) == 1 + AGAIN
    assert unfinished(Script(page, upload_page(many(1)))) == many(1)


@pytest.mark.parametrize("length", [1, 2, 7])
def test_markers_that_go_in_a_circle(length: int) -> None:
    def answer(request: Request) -> Response:
        at = int(query(request).get("upload-id-marker", -1)) + 1
        uploads = [Upload("a", str(len(script.sent)), BEGUN)]
        return upload_page(uploads, ("a", str(at % length)))

    script = Endless(answer)
    with pytest.raises(ListingError, match="a marker repeats"):
        unfinished(script)
    assert len(script.sent) <= 3 * length + 1


def test_empty_pages_come_to_an_end() -> None:
    script = Endless(lambda request: upload_page([], (f"k{len(script.sent)}", "")))
    with pytest.raises(ListingError, match="page after page is empty"):
        unfinished(script)
    assert len(script.sent) == MOST_EMPTY_PAGES + 1


def test_when_an_upload_was_begun() -> None:
    assert Upload("a", "1", "2026-11-20T08:30:00.500Z").started_at == 1795163400.5
    assert Upload("a", "1", "2026-11-20T10:30:00+02:00").started_at == 1795163400
    with pytest.raises(ValueError, match="not a time"):
        assert Upload("a", "1", "").started_at


def test_the_time_is_the_stores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.time", lambda: 1795163400.0 + 2 * 86400)
    page = upload_page([])
    date = b"Date: Fri, 20 Nov 2026 08:30:00 GMT\r\n"
    script = Script(page, page._replace(head=page.head + date), page)
    bucket = script.bucket()
    bucket.signer.offset = -86400.0
    uploads = Uploads(bucket)
    told = []
    for _ in range(3):
        collect(uploads.list_uploads())
        told.append(uploads.store_time() - 1795163400)
    assert told == [86400, 0, 0]


def test_uploads_of_one_key_among_many_that_begin_so() -> None:
    """Sorted as S3 does they come first: what lies behind is not asked for."""
    own = [Upload("a", "1", "2026-01-03"), Upload("a", "2", "2026-01-01")]
    others = [Upload(f"a{at}", "3", f"2026-01-0{1 + at % 2}") for at in range(1, 9)]
    script = Script(upload_page([*own, *others[:4]], ("a4", "3")), upload_page(others[4:]))
    assert collect(Uploads(script.bucket()).list_key("a")) == own
    assert len(script.sent) == 1
    unsorted = [others[3], own[0], others[0]]
    script = Script(upload_page(unsorted, ("a1", "3")), upload_page([own[1]]))
    assert collect(Uploads(script.bucket()).list_key("a")) == own


def test_what_this_run_began_is_known() -> None:
    def begun(own: list[str]) -> set[str]:
        script = Script(document("InitiateMultipartUploadResult", ("UploadId", "new")))
        uploads = Uploads(script.bucket(), own=own)
        run(uploads.create("a"))
        return uploads.own

    assert begun(["old"]) == {"old", "new"}
    assert begun([]) == {"new"}


# Parts of an upload


def parts(script: Script) -> list[Part]:
    return collect(Uploads(script.bucket()).list_parts("a b", "i&d"))


PARTS = [Part(at, 5 << 20, f"{at:032x}", None) for at in range(1, 2501)]


def test_every_page_of_parts() -> None:
    pages = [(PARTS[:1000], 1000), (PARTS[1000:2000], 2000), (PARTS[2000:], None)]
    script = Script(*(part_page(*page) for page in pages))
    assert parts(script) == PARTS
    asked = [query(request) for request in script.sent]
    assert [each.get("part-number-marker") for each in asked] == [None, "1000", "2000"]
    assert all(each["uploadId"] == "i&d" for each in asked)
    assert urlsplit(script.sent[0].url).path == "/bucket/a%20b"


def test_checksums_of_parts() -> None:
    found = [
        Part(1, 1, "a", ("crc64nvme", "AAAA=")),
        Part(3, 0, "b", ("sha256", "BBBB")),
        Part(9, 7, "", None),
    ]
    assert parts(Script(part_page(found))) == found


@pytest.mark.parametrize(
    ("told", "newest"),
    [
        (["2026-11-20T08:30:00.000Z", "2026-11-20T08:29:59Z", ""], 1795163400.0),
        (["", "then", ""], None),
    ],
)
def test_when_the_newest_part_arrived(told: list[str], newest: float | None) -> None:
    pages = [part_page(PARTS[:2], 2), part_page(PARTS[2:3])]
    moments = iter(told)
    dated = [
        page._replace(
            body=re.sub(
                b"</Size>",
                lambda _: f"</Size><LastModified>{next(moments)}</LastModified>".encode(),
                page.body,
            )
        )
        for page in pages
    ]
    script = Script(*dated)
    assert run(Uploads(script.bucket()).fetch_parts("a b", "i&d")) == (PARTS[:3], newest)


def test_parts_of_what_is_gone() -> None:
    with pytest.raises(StoreError) as caught:
        parts(Script(GONE))
    assert caught.value.status == 404
    assert is_upload_missing(caught.value)


@pytest.mark.parametrize(
    "page",
    [
        document("ListPartsResult", ("IsTruncated", "true")),
        document("ListPartsResult", ("IsTruncated", "true"), ("NextPartNumberMarker", "0")),
        document("ListPartsResult", ("IsTruncated", "true"), ("NextPartNumberMarker", "x")),
        document("ListPartsResult", more="<Part><PartNumber>1</PartNumber></Part>"),
        document("Error"),
        said(200, body=b"<ListPartsResult><Part>"),
    ],
    ids=["no marker", "zero", "no number", "no size", "another document", "cut"],
)
def test_a_page_of_parts_that_cannot_be_trusted(page: Response) -> None:
    script = Script(*[page] * 9)
    with pytest.raises(ListingError):
        parts(script)
    assert len(script.sent) == 1 + AGAIN


def test_parts_that_come_twice_or_out_of_order() -> None:
    for pages in (
        [part_page(PARTS[:2], 2)] * 9,
        [part_page(PARTS[:2], 1), part_page(PARTS[1:3])],
        [part_page([PARTS[1], PARTS[0]])],
    ):
        with pytest.raises(ListingError):
            parts(Script(*pages))


TEXT = st.text(
    st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\ufffe\uffff"), min_size=1
)


@given(st.lists(st.builds(Upload, TEXT, TEXT, st.just(BEGUN)), max_size=5), st.booleans())
def test_what_a_store_writes_is_what_is_read(uploads: list[Upload], url: bool) -> None:
    marker = uploads[-1][:2] if uploads else None
    page = parse_uploads(upload_page(uploads, marker, url=url).body)
    assert page == (uploads, marker)


@given(st.binary(max_size=60))
def test_any_bytes_are_a_page_or_an_error(body: bytes) -> None:
    for parse in (parse_uploads, parse_parts):
        with pytest.raises(ListingError):
            parse(body)
