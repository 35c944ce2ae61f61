"""A store of multipart uploads in memory, that checks as S3 does, and may be told to fail."""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import md5
from typing import Any
from urllib.parse import parse_qsl

from s3pp.integrity.etag import etag_of_md5s
from s3pp.s3.answers import Answer
from s3pp.s3.client import Call
from s3pp.s3.exchange import Response
from s3pp.s3.retry import StoreError

from .buckets import endpoint, read

PAGE = 1000  # entries


@dataclass
class Begun:
    """An upload: what it was begun with, and its parts by number."""

    key: str
    headers: dict[str, str]
    parts: dict[int, bytes] = field(default_factory=dict)
    minute: int = 0
    crcs: dict[int, str] = field(default_factory=dict)  # of parts that came with a CRC64NVME


def etag_of(body: bytes) -> str:
    return md5(body).hexdigest()


def _answer(body: str = "", *lines: str) -> Answer:
    head = [b"HTTP/1.1 200 OK\r\n", *(f"{line}\r\n".encode() for line in lines)]
    return Answer(Response(200, b"".join(head), body.encode()), 1)


class Parted:
    """As ``Bucket``, as far as uploads need one. ``before`` sees each call and may raise."""

    def __init__(self) -> None:
        self.endpoint = endpoint("bkt")
        self.uploads: dict[str, Begun] = {}
        self.objects: dict[str, tuple[bytes, str, dict[str, str]]] = {}
        self.sent: list[int] = []  # part numbers, those that were stored
        self.completions: list[dict[str, str]] = []  # their headers
        self.aborted: list[str] = []
        self.tells = False  # the checksum of each part again
        self.names = False  # the algorithm that an upload is created with
        self.more = ""  # what the answer to a completion tells beside the ETag
        self.date = "Sat, 03 Jan 2026 00:00:00 GMT"  # the uploads of others began two days before
        self.before: Callable[[str, Call], None] = lambda what, call: None
        self.after: Callable[[str, Call], None] = lambda what, call: None

    def begin(self, key: str, parts: dict[int, bytes], **headers: str) -> str:
        """Leave an upload behind."""
        upload = f"upload-{len(self.uploads) + len(self.aborted) + len(self.objects)}"
        upload += f"-{len(self.completions)}"
        self.uploads[upload] = Begun(key, headers, dict(parts), len(self.uploads))
        return upload

    async def call(self, call: Call) -> Answer:
        query = dict(parse_qsl(call.query, keep_blank_values=True))
        what = self._what(call.method, query)
        self.before(what, call)
        key = call.path.strip("/")
        answer: Answer = getattr(self, f"_{what}")(key, query, call)
        self.after(what, call)
        return answer

    async def look(self, key: str, **_: Any) -> Answer | None:
        self.before("look", Call("HEAD", key))
        if key not in self.objects:
            return None
        body, etag, headers = self.objects[key]
        lines = [f"{name}: {value}" for name, value in headers.items()]
        return _answer("", f'ETag: "{etag}"', f"Content-Length: {len(body)}", *lines)

    async def tags(self, key: str) -> list[tuple[str, str]]:
        return parse_qsl(self.objects[key][2].get("x-amz-tagging", ""))

    def _what(self, method: str, query: dict[str, str]) -> str:
        if method == "POST":
            return "create" if "uploads" in query else "complete"
        if method == "GET":
            return "list" if "uploads" in query else "parts"
        return {"PUT": "send", "DELETE": "abort"}[method]

    def _create(self, key: str, query: dict[str, str], call: Call) -> Answer:
        headers = dict(call.headers)
        upload = self.begin(key, {}, **headers)
        asked = [f"{name}: {value}" for name, value in headers.items() if "x-amz-checksum" in name]
        return _answer(f"<R><UploadId>{upload}</UploadId></R>", *(asked if self.names else ()))

    def _send(self, key: str, query: dict[str, str], call: Call) -> Answer:
        upload, number = self._upload(query), int(query["partNumber"])
        assert call.body is not None
        body, headers = read(call.body), dict(call.headers)
        told = headers.get("content-md5")
        if told and told != b64encode(md5(body).digest()).decode():
            raise StoreError(400, "BadDigest", "")
        upload.parts[number] = body
        if crc := headers.get("x-amz-checksum-crc64nvme"):
            upload.crcs[number] = crc
        self.sent.append(number)
        again = [f"{name}: {value}" for name, value in headers.items() if self.tells]
        return _answer("", f'ETag: "{etag_of(body)}"', *again)

    def _complete(self, key: str, query: dict[str, str], call: Call) -> Answer:
        upload = self._upload(query)
        assert isinstance(call.body, bytes)
        told = re.findall(r"<PartNumber>(\d+)</PartNumber><ETag>&quot;(\w+)&", call.body.decode())
        parts = [(int(number), etag) for number, etag in told]
        assert [number for number, _ in parts] == list(range(1, len(parts) + 1))
        for number, etag in parts:
            if number not in upload.parts or etag_of(upload.parts[number]) != etag:
                raise StoreError(400, "InvalidPart", str(number))
        headers = dict(call.headers)
        if "if-none-match" in headers and key in self.objects:
            raise StoreError(412, "PreconditionFailed", "")
        self.completions.append(headers)
        body = b"".join(upload.parts[number] for number, _ in parts)
        etag = etag_of_md5s(bytes.fromhex(etag) for _, etag in parts)
        del self.uploads[query["uploadId"]]
        self.objects[key] = (body, etag, upload.headers)
        return _answer(f'<R><ETag>"{etag}"</ETag>{self.more}</R>')

    def _abort(self, key: str, query: dict[str, str], call: Call) -> Answer:
        self._upload(query)
        del self.uploads[query["uploadId"]]
        self.aborted.append(query["uploadId"])
        return _answer()

    def _list(self, key: str, query: dict[str, str], call: Call) -> Answer:
        names = sorted(self.uploads, key=lambda name: (self.uploads[name].key, name))
        last = (query.get("key-marker", ""), query.get("upload-id-marker", ""))
        rest = [name for name in names if (self.uploads[name].key, name) > last]
        page, more = rest[:PAGE], len(rest) > PAGE
        told = "".join(
            f"<Upload><Key>{self.uploads[name].key}</Key><UploadId>{name}</UploadId>"
            f"<Initiated>2026-01-01T{self.uploads[name].minute // 60:02}:"
            f"{self.uploads[name].minute % 60:02}:00Z</Initiated></Upload>"
            for name in page
        )
        marker = (
            f"<NextKeyMarker>{self.uploads[page[-1]].key}</NextKeyMarker>"
            f"<NextUploadIdMarker>{page[-1]}</NextUploadIdMarker>"
            if more
            else ""
        )
        flag = f"<IsTruncated>{str(more).lower()}</IsTruncated>"
        root = "ListMultipartUploadsResult"
        return _answer(f"<{root}>{flag}{marker}{told}</{root}>", f"Date: {self.date}")

    def _parts(self, key: str, query: dict[str, str], call: Call) -> Answer:
        upload, last = self._upload(query), int(query.get("part-number-marker", "0"))
        rest = sorted(number for number in upload.parts if number > last)
        page, more = rest[:PAGE], len(rest) > PAGE
        told = "".join(
            f"<Part><PartNumber>{number}</PartNumber><ETag>{etag_of(upload.parts[number])}</ETag>"
            f"<Size>{len(upload.parts[number])}</Size>{_crc(upload, number)}</Part>"
            for number in page
        )
        flag = f"<IsTruncated>{str(more).lower()}</IsTruncated>"
        flag += f"<NextPartNumberMarker>{page[-1]}</NextPartNumberMarker>" if more else ""
        return _answer(f"<ListPartsResult>{flag}{told}</ListPartsResult>")

    def _upload(self, query: dict[str, str]) -> Begun:
        if query["uploadId"] not in self.uploads:
            raise StoreError(404, "NoSuchUpload", "")
        return self.uploads[query["uploadId"]]


def _crc(upload: Begun, number: int) -> str:
    crc = upload.crcs.get(number)
    return f"<ChecksumCRC64NVME>{crc}</ChecksumCRC64NVME>" if crc else ""
