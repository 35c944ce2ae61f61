"""Listings made small, and the harm done to single pages of them.

``PAGES`` matches the walker's requests for pages, not the probe for one key that precedes them. The
stores' own pages hold 1,000 keys; ``SmallPages`` asks for fewer, so that a second page needs no
thousand objects. It changes the query, hence is for stores that check no signatures.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from urllib.parse import unquote

from stores.fault_actions import Action, Exchange, Response

PAGES = r"^(?!.*max-keys=1(&|$)).*list-type=2"
SECOND_PAGE = "continuation-token="

Harm = Callable[[bytes], bytes]

_CONTENTS = re.compile(rb"<Contents>.*?</Contents>", re.DOTALL)
_TOKEN = re.compile(rb"<NextContinuationToken>.*?</NextContinuationToken>", re.DOTALL)


@dataclass(frozen=True)
class SmallPages(Action):
    """Pages of ``size`` keys; those after the first pass through ``harm``."""

    size: int
    harm: Harm = bytes

    def answer(self, exchange: Exchange) -> Response:
        request = exchange.request
        response = exchange.forward(replace(request, path=f"{request.path}&max-keys={self.size}"))
        if SECOND_PAGE not in request.path:
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


def _with_token(page: bytes, token: str) -> bytes:
    named = f"<NextContinuationToken>{token}</NextContinuationToken>".encode()
    end = b"</ListBucketResult>"
    return _truncated(_TOKEN.sub(b"", page)).replace(end, named + end)


def cut_short(page: bytes) -> bytes:
    """The first half of the document."""
    return page[: len(page) // 2]


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
