"""Buckets that can be listed, and nothing else."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from urllib.parse import quote, unquote

from s3pp.s3.listing import Listed


def encoded(key: str) -> bytes:
    """What keys are sorted by."""
    return key.encode()


def etag(key: str) -> str:
    return f"etag of {key.encode().hex()}"


def listed(key: str, modified: str = "") -> Listed:
    """What the stores here hold under ``key``: as many bytes as it has letters."""
    return Listed(key, len(key), etag(key), modified)


class Store:
    """Lists keys in UTF-8 order, ``page_size`` at a time, as ListObjectsV2 does.

    ``times`` are those of the keys that have one.
    """

    def __init__(
        self, keys: Sequence[str], page_size: int, times: Mapping[str, str] | None = None
    ) -> None:
        self.keys = sorted(keys, key=encoded)
        self.page_size = page_size
        self.asked: list[dict[str, str]] = []
        self._times = times or {}

    async def list_page(self, parameters: dict[str, str]) -> bytes:
        self.asked.append(parameters)
        prefix = parameters.get("prefix", "")
        below = [key for key in self.keys if key.startswith(prefix)]
        after = unquote(parameters.get("continuation-token", "")) or parameters.get("start-after")
        start = bisect_right([encoded(key) for key in below], encoded(after or ""))
        return self.page(below[start:])

    def page(self, rest: list[str]) -> bytes:
        token = quote(rest[self.page_size - 1]) if len(rest) > self.page_size else None
        return written(rest[: self.page_size], token, self._times)


def written(
    keys: Sequence[str], token: str | None, times: Mapping[str, str] | None = None
) -> bytes:
    """One page as XML."""
    contents = "".join(
        f"<Contents><Key>{quote(key)}</Key>{_time((times or {}).get(key))}<Size>{len(key)}</Size>"
        f"<ETag>&quot;{etag(key)}&quot;</ETag></Contents>"
        for key in keys
    )
    more = (
        f"<IsTruncated>true</IsTruncated><NextContinuationToken>{token}</NextContinuationToken>"
        if token
        else "<IsTruncated>false</IsTruncated>"
    )
    return (
        f"<ListBucketResult><EncodingType>url</EncodingType>{more}{contents}</ListBucketResult>"
    ).encode()


def _time(modified: str | None) -> str:
    return "" if modified is None else f"<LastModified>{modified}</LastModified>"


class Pages(Store):
    """Answers with pages in turn, whatever is asked."""

    def __init__(self, *pages: bytes) -> None:
        super().__init__([], 1)
        self._pages = list(pages)

    async def list_page(self, parameters: dict[str, str]) -> bytes:
        self.asked.append(parameters)
        return self._pages.pop(0)
