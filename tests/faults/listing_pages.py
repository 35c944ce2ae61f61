"""Listings made small, and the harm done to single pages of them.

``PAGES`` matches the walker's requests for pages, not the probe for one key that precedes them. The
stores' own pages hold 1,000 keys; ``SmallPages`` asks for fewer, so that a second page needs no
thousand objects. It changes the query, hence is for stores that check no signatures.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from urllib.parse import parse_qsl, unquote, unquote_plus, urlencode

from stores.fault_actions import Action, Exchange, Response
from stores.store import Bucket

PAGES = r"^(?!.*max-keys=1(&|$)).*list-type=2"
SECOND_PAGE = "continuation-token="
LATER_PAGE = "continuation-token=|start-after="  # what several listers ask for


def pages_of(bucket: Bucket, query: str = "") -> str:
    """Matches the requests for pages of this bucket, with ``query`` in them."""
    return rf"^(?=/{bucket.name}/?\?)(?=.*({query})){PAGES.removeprefix('^')}"


Harm = Callable[[bytes], bytes]

_CONTENTS = re.compile(rb"<Contents>.*?</Contents>", re.DOTALL)
_END = b"</ListBucketResult>"
_TOKEN = re.compile(rb"<NextContinuationToken>.*?</NextContinuationToken>", re.DOTALL)


@dataclass(frozen=True)
class SmallPages(Action):
    """Pages of ``size`` keys; those after the first, by ``later``, pass through ``harm``."""

    size: int
    harm: Harm = bytes
    later: str = SECOND_PAGE

    def answer(self, exchange: Exchange) -> Response:
        request = exchange.request
        response = exchange.forward(replace(request, path=f"{request.path}&max-keys={self.size}"))
        if not re.search(self.later, request.path):
            return response
        return replace(response, body=self.harm(response.body))


@dataclass(frozen=True)
class Circle(Action):
    """Pages of ``size`` keys; after the first, ``length`` of them follow each other for ever."""

    size: int
    length: int
    tokens: list[str] = field(default_factory=list)  # as they came back, encoded, without repeats

    def answer(self, exchange: Exchange) -> Response:
        response = SmallPages(self.size).answer(exchange)
        found = re.search(rf"{SECOND_PAGE}([^&]*)", exchange.request.path)
        if found is None:
            return response
        if found[1] not in self.tokens:
            self.tokens.append(found[1])
        if self.tokens.index(found[1]) + 1 < self.length:
            return response
        return replace(response, body=_with_token(response.body, unquote(self.tokens[0])))


@dataclass(frozen=True)
class Stuck(Action):
    """Pages of ``size`` keys, of which the second comes again and again, with ever new tokens."""

    size: int
    pages: list[bytes] = field(default_factory=list)

    def answer(self, exchange: Exchange) -> Response:
        response = SmallPages(self.size).answer(exchange)
        if SECOND_PAGE not in exchange.request.path:
            return response
        self.pages.append(response.body if not self.pages else self.pages[0])
        return replace(response, body=_with_token(self.pages[0], f"token-{len(self.pages)}"))


Entries = list[bytes]


@dataclass(frozen=True)
class OtherStore(Action):
    """The bucket as another store lists it: ``arrange`` gives the entries their order.

    ``ranges``: it knows ``start-after``; stores that do not ignore it.
    """

    size: int
    arrange: Callable[[Entries], Entries]
    ranges: bool = True

    def answer(self, exchange: Exchange) -> Response:
        path, _, query = exchange.request.path.partition("?")
        asked = dict(parse_qsl(query, keep_blank_values=True))
        at, _, after = asked.pop("continuation-token", "0 ").partition(" ")
        asked_after = asked.pop("start-after", after)
        after = asked_after if self.ranges else ""
        whole = f"{path}?{urlencode(asked)}"
        response = exchange.forward(replace(exchange.request, path=whole))
        entries = self.arrange(_CONTENTS.findall(response.body))
        entries = [entry for entry in entries if _key(entry) > after]
        end = int(at) + self.size
        page = _CONTENTS.sub(b"", response.body)
        page = page.replace(_END, b"".join(entries[int(at) : end]) + _END)
        return replace(
            response, body=_with_token(page, f"{end} {after}") if entries[end:] else page
        )


def _key(entry: bytes) -> str:
    found = re.search(b"<Key>(.*?)</Key>", entry, re.DOTALL)
    assert found
    return unquote_plus(found[1].decode())


def _with_token(page: bytes, token: str) -> bytes:
    named = f"<NextContinuationToken>{token}</NextContinuationToken>".encode()
    return _truncated(_TOKEN.sub(b"", page)).replace(_END, named + _END)


def not_xml(page: bytes) -> bytes:
    """What a misplaced web server would say."""
    return b"<!doctype html><title>Welcome</title><p>It works!"


def other_document(page: bytes) -> bytes:
    """Sound XML that is no listing."""
    return b"<ListAllMyBucketsResult></ListAllMyBucketsResult>"


def without_token(page: bytes) -> bytes:
    """Says that there is more, and not where."""
    return _truncated(_TOKEN.sub(b"", page))


def reversed_keys(page: bytes) -> bytes:
    """The same keys from last to first."""
    backwards = iter(_CONTENTS.findall(page)[::-1])
    return _CONTENTS.sub(lambda _: next(backwards), page)


def doubled_keys(page: bytes) -> bytes:
    """Every key twice."""
    return _CONTENTS.sub(lambda found: found[0] * 2, page)


def _truncated(page: bytes) -> bytes:
    return page.replace(b"<IsTruncated>false", b"<IsTruncated>true")
