"""How stores list the keys of unfinished uploads when they are asked for encoded ones.

Each is a ``rewrite`` for a relay in front of moto, which lists keys as they are whatever it is
asked for.
"""

from __future__ import annotations

import re
from dataclasses import replace
from html import escape, unescape
from urllib.parse import parse_qs, quote, urlsplit

from stores.relay import Answer, Request

_KEY = re.compile(r"<Key>([^<]*)</Key>")
_BEGIN = "<IsTruncated>"


def ceph_rgw(request: Request, answer: Answer) -> Answer:
    """Encodes the keys and not the marker, and does not say so."""
    return _changed(answer, _encoded) if _asked(request) else answer


def seaweedfs(request: Request, answer: Answer) -> Answer:
    """Says that it encodes, and does not; LocalStack likewise."""
    says = f"<EncodingType>url</EncodingType>{_BEGIN}"
    change = lambda page: page.replace(_BEGIN, says)  # noqa: E731
    return _changed(answer, change) if _asked(request) else answer


def with_control_character(request: Request, answer: Answer) -> Answer:
    """As AWS, of a page that has a key which is no XML: it can be read only if it is encoded."""
    if "uploads" not in parse_qs(urlsplit(request.target).query, keep_blank_values=True):
        return answer
    if _asked(request):
        return seaweedfs(request, ceph_rgw(request, answer))
    return _changed(answer, lambda page: page.replace("</Key>", "&#x1;</Key>"))


def _asked(request: Request) -> bool:
    query = parse_qs(urlsplit(request.target).query, keep_blank_values=True)
    return "uploads" in query and query.get("encoding-type") == ["url"]


def _encoded(page: str) -> str:
    return _KEY.sub(lambda key: f"<Key>{escape(quote(unescape(key[1])))}</Key>", page)


def _changed(answer: Answer, change: object) -> Answer:
    assert callable(change)
    headers = [pair for pair in answer.headers if pair[0].lower() != "content-length"]
    return replace(answer, headers=headers, body=change(answer.body.decode()).encode())
