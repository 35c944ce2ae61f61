"""What the answers of a store contain: header values, and XML documents.

An entity tag (RFC 9110, 8.8.3)::

    "9e10…"    9e10…    W/"9e10…"    "9E10…"      all name the same object: 9e10…

A proxy that changes a body in transit marks the tag as weak (``W/``), and some stores mark all of
theirs: such a tag still names the object that a listing names without the mark. It matters
only where a tag is sent back in a condition, see ``pin_of``.

Content-Encoding (RFC 9110, 8.4) is a list, in order of application, possibly over several lines.
``aws-chunked`` describes how a body was sent, not how it is stored, but some stores keep it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple
from xml.parsers import expat

from s3pp.s3.exchange import Response

# An MD5 in hex, or one of MD5s and their count. In other tags, case is significant.
_HEX = re.compile(r"[0-9a-fA-F]{32}(-[0-9]+)?\Z")
_QUOTES = ' \t"'

# Bytes in decimal, below a petabyte: S3 objects have at most 50 TB, and sums must not overflow.
SIZE_DIGITS = "[0-9]{1,15}"
_SIZE = re.compile(SIZE_DIGITS)


_CODING_HEADER = b"content-encoding"
_GZIP = frozenset({"gzip", "x-gzip"})
GZIP_MAGIC = b"\x1f\x8b"  # the start of every member (RFC 1952)


class Answer(NamedTuple):
    """A successful response and the number of attempts it took."""

    response: Response
    attempts: int

    @property
    def etag(self) -> str:
        """The ETag, see ``etag_of``; empty where there is none."""
        return etag_of(self.response.header(b"etag"))

    @property
    def pin(self) -> str:
        """The value of If-Match that matches exactly this object; empty: see ``pin_of``."""
        return pin_of(self.response.header(b"etag"))

    @property
    def version(self) -> str:
        """The id of the object's version; empty: the store names none."""
        return self.response.header(b"x-amz-version-id") or ""

    @property
    def declared(self) -> int | None:
        """The length the store declared, in bytes; None where it declared no valid one."""
        return declared_size(self.response.header(b"content-length"))

    @property
    def is_store(self) -> bool:
        """Whether an S3 store may have sent this answer about an object: see ``is_store``."""
        return is_store(str(line, "latin-1").lower() for line in self.response.lines)

    @property
    def size(self) -> int:
        """The length the store declared, in bytes; 0 where it did not."""
        return self.declared or 0


class Copied(NamedTuple):
    """The result of a copy or a completed upload: the ETag is in the answer's body."""

    etag: str  # see ``etag_of``; empty where there is none
    answer: Answer


class EntityTag(NamedTuple):
    """A parsed tag; case is kept."""

    text: str  # without quotes; empty: there is none
    weak: bool


def parse_etag(written: str | None) -> EntityTag:
    """Parse the value of an ETag header or element; pass None where there is none."""
    text = (written or "").strip()
    weak = text[:3] in ('W/"', 'w/"')
    return EntityTag((text[2:] if weak else text).strip(_QUOTES), weak)


def etag_of(written: str | None) -> str:
    """The ETag in its form for comparison: without quotes, MD5s in lower case; may be empty."""
    plain = (written or "").strip('"')
    if plain.isalnum() and plain.islower():
        return plain  # nearly all
    text = parse_etag(written).text
    return text.lower() if _HEX.match(text) else text


def pin_of(written: str | None) -> str:
    """The value of If-Match that matches exactly this tag; empty: no value can.

    If-Match compares strongly, so a weak tag matches nothing, not even itself (RFC 9110,
    13.1.1), and one with other characters than printable ASCII cannot be sent. Where there is no
    pin, the tag of each response must be compared instead.
    """
    if written and written.isalnum():
        return f'"{written}"'  # nearly all
    text, weak = parse_etag(written)
    sendable = text.isascii() and text.isprintable()
    return f'"{text}"' if text and sendable and not weak else ""


def parse_size(text: str) -> int:
    """Parse ``text`` into bytes. Raises ``ValueError`` if it is not a valid size."""
    if not _SIZE.fullmatch(text):
        raise ValueError(f"{text[:40]!r} is not a size")
    return int(text)


def declared_size(text: str | None) -> int | None:
    """Parse a ``Content-Length`` into bytes; None if absent or invalid.

    A repeated header may be a list of equal values (RFC 9110, 8.6).
    """
    values = {each.strip() for each in (text or "").split(",")}
    try:
        return parse_size(values.pop()) if len(values) == 1 else None
    except ValueError:
        return None


def content_codings(response: Response) -> list[str]:
    """The codings of an object, spelled as the store does, in order of application."""
    listed = (each.strip() for value in _coding_headers(response) for each in value.split(","))
    return [each for each in listed if each.lower() not in ("", "aws-chunked")]


def is_gzip(response: Response) -> bool:
    """Whether gzip is among the codings."""
    return not _GZIP.isdisjoint(map(str.lower, content_codings(response)))


def gzip_layers(response: Response) -> int | None:
    """How many times an object is compressed with gzip, and with nothing else; 0: not at all.

    None: gzip is mixed with other codings, so that undoing gzip alone would be wrong.
    """
    applied = [each.lower() for each in content_codings(response) if each.lower() != "identity"]
    if _GZIP.issuperset(applied):
        return len(applied)
    return 0 if _GZIP.isdisjoint(applied) else None


def _coding_headers(response: Response) -> Iterator[str]:
    for line in response.lines:
        name, _, value = line.partition(b":")
        if name.strip().lower() == _CODING_HEADER:
            yield value.decode("latin-1")


MOST_TEXT = 8192  # bytes of the text of an element: ids and messages have a few hundred


def xml_text(body: bytes, name: str) -> str | None:
    """The text of the first element ``name`` in an XML ``body``, at most ``MOST_TEXT`` bytes."""
    begin = b"<%s>" % name.encode()
    start = body.find(begin) + len(begin)
    end = body.find(b"</", start)
    if start < len(begin) or end < 0:
        return None
    text = body[start : min(end, start + MOST_TEXT)].decode("utf-8", "replace")
    return None if "<" in text else " ".join(_unescape(text).split())


def _unescape(text: str) -> str:
    """``html.unescape``, whose table of entities takes long to import."""
    if "&" not in text:
        return text
    from html import unescape

    try:
        return unescape(text)
    except ValueError:  # a reference to a character, by thousands of digits
        return text


def parse_tags(body: bytes) -> list[tuple[str, str]]:
    """The key-value pairs of a ``Tagging`` document."""
    text = body.decode("utf-8", "replace")
    pairs = re.findall(r"<Key>([^<]*)</Key>\s*<Value>([^<]*)</Value>", text)
    return [(_unescape(key), _unescape(value)) for key, value in pairs]


class XmlDocument(NamedTuple):
    """The leaf elements of a listing; unknown elements are included, deeper ones are not."""

    root: str
    leaves: dict[str, str]  # below the root, text by name
    entries: list[dict[str, str]]  # for each entry below the root, the same


def parse_entries(body: bytes, entry: str) -> XmlDocument:
    """Parse an XML document whose root has elements called ``entry``.

    Raises ``expat.ExpatError``, and ``LookupError`` or ``ValueError`` for an invalid encoding.
    """
    reader = _EntryReader(entry)
    reader.read(body)
    return XmlDocument(reader.root, reader.leaves, reader.entries)


MOST_DEPTH = 64  # of elements in elements: S3 has five


class _EntryReader:
    def __init__(self, entry: str) -> None:
        self.root = ""
        self.leaves: dict[str, str] = {}
        self.entries: list[dict[str, str]] = []
        self._entry = entry
        self._fields: dict[str, str] = {}
        self._path: list[str] = []
        self._text: list[str] = []

    def read(self, body: bytes) -> None:
        parser = expat.ParserCreate()
        parser.buffer_text = True
        # No answer of S3 has one. The entities that it defines can fill the memory: not every
        # version of expat limits them.
        parser.StartDoctypeDeclHandler = _refuse_doctype
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._text.append
        parser.Parse(body, True)

    def _start(self, name: str, _attributes: dict[str, str]) -> None:
        self.root = self.root or name
        self._path.append(name)
        if len(self._path) > MOST_DEPTH:
            raise ValueError("its elements are nested too deeply")
        self._text.clear()

    def _end(self, name: str) -> None:
        self._path.pop()
        depth = len(self._path)
        if depth == 2 and self._path[1] == self._entry:
            self._fields[name] = "".join(self._text)
        elif depth == 1 and name == self._entry:
            self.entries.append(self._fields)
            self._fields = {}
        elif depth == 1:
            self.leaves[name] = "".join(self._text)
        self._text.clear()


def _refuse_doctype(*_: object) -> None:
    raise ValueError("it has a document type declaration, as no answer of S3 has")


def is_store(names: Iterable[str]) -> bool:
    """Whether a response about an object has one of the headers that every S3 store sends.

    ``names``: its header names, or whole header lines, in lower case. A captive portal, a web
    application or another service answers any request with a page of its own.
    """
    return any(name.startswith(("etag", "x-amz-")) for name in names)


def no_store_message(endpoint: str) -> str:
    """The message for a response that lacks such headers."""
    return (
        f"no S3 store answers at {endpoint} (the answer has neither an ETag nor any x-amz header): "
        "check the endpoint URL"
    )
