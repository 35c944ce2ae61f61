"""One level of a bucket, whatever the store makes of the delimiter."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from itertools import dropwhile
from urllib.parse import quote_plus
from xml.sax.saxutils import escape

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3pp.s3.bucket_list import BucketEntry, BucketPage, parse_buckets
from s3pp.s3.levels import list_level, parse_level
from s3pp.s3.listing import CommonPrefix, ListingError
from s3pp.s3.parallel_listing import DISORDER

NAMES = st.text("a/b-é ", min_size=1, max_size=6)


class GroupingStore:
    """A lister of ``keys`` with ``most`` names on a page."""

    def __init__(self, keys: list[str], most: int, *, first_version: bool, groups: bool) -> None:
        self._keys = sorted(keys)
        self._most = most
        self._first_version = first_version
        self._groups = groups
        self.requests = 0

    async def list_page(self, parameters: dict[str, str]) -> bytes:
        self.requests += 1
        prefix, delimiter = parameters["prefix"], parameters["delimiter"]
        after = parameters.get("marker", parameters.get("continuation-token", ""))
        names: list[str] = []
        found = (key for key in self._keys if key.startswith(prefix))
        for key in dropwhile(lambda each: each <= after, found):
            end = key.find(delimiter, len(prefix)) if self._groups else -1
            name = key if end < 0 else key[: end + len(delimiter)]
            if name not in names and name > after:
                names.append(name)
        return self._page(names[: self._most], is_cut=len(names) > self._most)

    def _page(self, names: list[str], *, is_cut: bool) -> bytes:
        entries = "".join(
            f"<Contents><Key>{_coded(name)}</Key><Size>1</Size></Contents>"
            if name in self._keys and not (self._groups and name.endswith("/"))
            else f"<CommonPrefixes><Prefix>{_coded(name)}</Prefix></CommonPrefixes>"
            for name in names
        )
        last = escape(names[-1]) if names else ""
        token = "NextMarker" if self._first_version else "NextContinuationToken"
        more = f"<IsTruncated>true</IsTruncated><{token}>{last}</{token}>" if is_cut else ""
        coding = "<EncodingType>url</EncodingType>"
        return f"<ListBucketResult>{coding}{more}{entries}</ListBucketResult>".encode()


def _coded(name: str) -> str:
    return escape(quote_plus(name, safe="/"))


def level(store: GroupingStore, prefix: str, notices: list[str]) -> list[str]:
    async def read() -> list[str]:
        found = []
        async with aclosing(list_level(store, prefix, "/", notices.append)) as pages:
            async for page in pages:
                found += [
                    each.name if isinstance(each, CommonPrefix) else each.key for each in page
                ]
        return found

    return asyncio.run(read())


@given(
    st.sets(NAMES, max_size=12),
    st.sampled_from(["", "a", "a/", "a/b/"]),
    st.integers(1, 4),
    st.booleans(),
    st.booleans(),
)
def test_each_name_of_the_level_comes_once_and_in_order(
    keys: set[str], prefix: str, most: int, first_version: bool, groups: bool
) -> None:
    """Also of a store that knows no delimiter, or has pages of ListObjects only."""
    named = (key[len(prefix) :] for key in keys if key.startswith(prefix))
    wanted = {prefix + (name if "/" not in name else name.split("/")[0] + "/") for name in named}
    store = GroupingStore(list(keys), most, first_version=first_version, groups=groups)
    notices: list[str] = []
    assert level(store, prefix, notices) == sorted(wanted)
    assert notices == []
    if groups:
        assert store.requests <= max(1, -(-len(wanted) // most)) + 1


class Scripted:
    def __init__(self, *pages: str) -> None:
        self._pages = [f"<ListBucketResult>{each}</ListBucketResult>".encode() for each in pages]

    async def list_page(self, parameters: dict[str, str]) -> bytes:
        return self._pages.pop(0) if len(self._pages) > 1 else self._pages[0]


def test_pages_that_go_in_circles_or_are_none_are_errors() -> None:
    more = "<IsTruncated>true</IsTruncated><NextContinuationToken>t</NextContinuationToken>"
    prefix = "<CommonPrefixes><Prefix>a/</Prefix></CommonPrefixes>"
    notices: list[str] = []
    for pages in ([more + prefix], ["<IsTruncated>true</IsTruncated>"], [more]):
        with pytest.raises(ListingError):
            level(Scripted(*pages), "", notices)  # type: ignore[arg-type]
    with pytest.raises(ListingError, match="cannot be read"):
        parse_level(b"<ListBucketResult><CommonPrefixes/></ListBucketResult>", "", "/")
    assert notices == []
    later = prefix.replace("a/", "0/")
    assert level(Scripted(more + prefix, later), "", notices) == ["a/", "0/"]  # type: ignore[arg-type]
    assert notices == [DISORDER]


def test_the_list_of_buckets() -> None:
    entries = (
        "<Bucket><Name>a</Name><CreationDate>2026-01-01T00:00:00Z</CreationDate></Bucket>"
        "<Bucket><Name>b&amp;c</Name><BucketRegion>eu-west-1</BucketRegion></Bucket>"
    )
    root = '<ListAllMyBucketsResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
    owner, end = "<Owner><ID>x</ID></Owner>", "</ListAllMyBucketsResult>"
    full = f"{root}{owner}<Buckets>{entries}</Buckets><ContinuationToken>t</ContinuationToken>{end}"
    found = [BucketEntry("a", "2026-01-01T00:00:00Z"), BucketEntry("b&c", "", "eu-west-1")]
    assert parse_buckets(full.encode()) == BucketPage(found, "t")
    for empty in ("<Buckets/>", "<Buckets></Buckets>", ""):
        assert parse_buckets(f"{root}{owner}{empty}{end}".encode()) == BucketPage([], "")
    for bad in ("", "<html/>", f"{root}<Buckets><Bucket/></Buckets>{end}", full[:-9]):
        with pytest.raises(ListingError):
            parse_buckets(bad.encode())
