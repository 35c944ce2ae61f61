"""A store in memory that deletes, behind a ``Bucket``: with features that stores differ in."""

from __future__ import annotations

from dataclasses import dataclass, field
from hashlib import md5
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape

from s3pp.access import Keys
from s3pp.s3.answers import etag_of, parse_entries
from s3pp.s3.client import Bucket
from s3pp.s3.endpoint import Endpoint
from s3pp.s3.exchange import Request, Response
from s3pp.s3.recovery import Recovery
from s3pp.s3.retry import Backoff
from s3pp.s3.sigv4 import Signer

AWS = "bucket.s3.us-east-1.amazonaws.com"
OTHER = "store.example"
NO = "<Message>no</Message>"


def etag(content: str) -> str:
    return md5(content.encode(), usedforsecurity=False).hexdigest()


@dataclass
class DeleteStore:
    """``conditions`` are honoured, ignored, or refused (as a whole); or cannot be evaluated."""

    objects: dict[str, str] = field(default_factory=dict)  # content by key
    host: str = OTHER
    conditions: str = "honoured"  # or "ignored", "refused", "denied", "garbled"
    exists: bool = True
    batches: bool = True
    lists: bool = True
    heads: bool = True
    versions: bool = False
    denied: frozenset[str] = frozenset()  # keys that cannot be deleted
    silent: frozenset[str] = frozenset()  # keys that the answer to DeleteObjects leaves out
    sent: list[str] = field(default_factory=list)
    markers: int = 0

    def bucket(self) -> Bucket:
        base = "" if self.host == AWS else "/bucket"
        endpoint = Endpoint("http", self.host, base, "us-east-1", "bucket")
        backoff = Backoff(2, base=0.001)
        return Bucket(
            endpoint,
            Signer(Keys("key", "secret"), "us-east-1"),
            self,
            recovery=Recovery(backoff, self._renew),
        )

    async def _renew(self) -> Keys | None:
        return None

    async def send(self, request: Request) -> Response:
        url = urlsplit(request.url)
        path = url.path if self.host == AWS else url.path.removeprefix("/bucket")
        key, query = unquote(path[1:]), parse_qs(url.query, keep_blank_values=True)
        self.sent.append(f"{request.method} {key}".strip())
        if request.method == "HEAD":
            return self._head(key)
        if request.method == "DELETE":
            return self._answer_one(key, _if_match(request))
        if request.method == "POST":
            assert isinstance(request.body, bytes)
            return self._answer_batch(request.body)
        return self._list(query)

    def _head(self, key: str) -> Response:
        if not self.heads:
            return _response(403)
        if key not in self.objects:
            return _response(404)
        content = self.objects[key]
        return _response(200, "", f'ETag: "{etag(content)}"', f"Content-Length: {len(content)}")

    def _list(self, query: dict[str, list[str]]) -> Response:
        if "list-type" not in query:  # the reason for the refusal of a HEAD
            return _error(403, "AccessDenied")
        if not self.lists:
            return _error(403, "AccessDenied")
        prefix, after = query.get("prefix", [""])[0], query.get("start-after", [""])[0]
        found = sorted(k for k in self.objects if k.startswith(prefix) and k > after)
        entries = "".join(
            f"<Contents><Key>{escape(key)}</Key><LastModified>2026-01-01T00:00:00Z</LastModified>"
            f"<ETag>&quot;{etag(self.objects[key])}&quot;</ETag>"
            f"<Size>{len(self.objects[key])}</Size></Contents>"
            for key in found
        )
        body = f"<ListBucketResult><IsTruncated>false</IsTruncated>{entries}</ListBucketResult>"
        return _response(200, body)

    def _answer_one(self, key: str, pin: str | None) -> Response:
        fault = self._fault(key, pin)
        if self.conditions == "refused" and pin is not None:
            return _error(501, "NotImplemented")
        if fault:
            return _error(*fault)
        marker = self._delete(key)
        told = ("x-amz-delete-marker: true", f"x-amz-version-id: {marker}") if marker else ()
        return _response(204, "", *told)

    def _answer_batch(self, body: bytes) -> Response:
        if not self.exists:
            return _error(404, "NoSuchBucket")
        if not self.batches:
            return _error(501, "NotImplemented")
        entries = parse_entries(body, "Object").entries
        if self.conditions == "refused" and any("ETag" in each for each in entries):
            return _error(400, "MalformedXML")
        told = "".join(self._entry(each["Key"], each.get("ETag")) for each in entries)
        return _response(200, f"<DeleteResult>{told}</DeleteResult>")

    def _entry(self, key: str, pin: str | None) -> str:
        if fault := self._fault(key, pin):
            return f"<Error><Key>{escape(key)}</Key><Code>{fault[1]}</Code>{NO}</Error>"
        if key in self.silent:
            return ""
        marker = self._delete(key)
        id_ = f"<DeleteMarkerVersionId>{marker}</DeleteMarkerVersionId>" if marker else ""
        made = f"<DeleteMarker>true</DeleteMarker>{id_}" if marker else ""
        return f"<Deleted><Key>{escape(key)}</Key>{made}</Deleted>"

    def _fault(self, key: str, pin: str | None) -> tuple[int, str] | None:
        if key in self.denied or (pin is not None and self.conditions == "denied"):
            return 403, "AccessDenied"
        if pin is None or self.conditions in ("ignored", "refused"):
            return None
        if key not in self.objects:
            return 404, "NoSuchKey"
        same = etag_of(pin) == etag(self.objects[key]) and self.conditions != "garbled"
        return None if same else (412, "PreconditionFailed")

    def _delete(self, key: str) -> str:
        self.objects.pop(key, None)
        self.markers += self.versions
        return f"marker-{self.markers}" if self.versions else ""


def _if_match(request: Request) -> str | None:
    for line in request.head.splitlines():
        name, _, value = line.partition(":")
        if name.lower() == "if-match":
            return value.strip()
    return None


def _error(status: int, code: str) -> Response:
    return _response(status, f"<Error><Code>{code}</Code>{NO}</Error>")


def _response(status: int, body: str = "", *lines: str) -> Response:
    head = [f"HTTP/1.1 {status} X", "x-amz-request-id: 1", *lines]
    return Response(status, b"".join(f"{line}\r\n".encode() for line in head), body.encode())
