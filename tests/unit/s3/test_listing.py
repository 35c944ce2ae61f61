"""Pages of ListObjectsV2, sound and unsound."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from urllib.parse import quote, quote_plus
from xml.sax.saxutils import escape

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from s3pp.errors import FailureKind
from s3pp.s3.listing import Listed, ListingError, Page, fetch_page, parse_page

DATE = "2026-11-20T23:37:00.123Z"
ETAG = "d41d8cd98f00b204e9800998ecf8427e"


def page(
    keys: Sequence[str],
    token: str | None = None,
    *,
    quoting: Callable[[str], str] | None = None,
    truncated: str | None = None,
) -> bytes:
    """A page as S3 writes it; ``quoting`` is how it encodes keys for ``encoding-type=url``."""
    contents = "".join(
        f"<Contents><Key>{escape(quoting(key) if quoting else key)}</Key>"
        f"<LastModified>{DATE}</LastModified><ETag>&quot;{ETAG}&quot;</ETag><Size>{at}</Size>"
        f"<Owner><ID>75aa</ID><DisplayName>Key</DisplayName></Owner>"
        f"<StorageClass>STANDARD</StorageClass></Contents>"
        for at, key in enumerate(keys)
    )
    more = f"<NextContinuationToken>{escape(token)}</NextContinuationToken>" if token else ""
    truncated = truncated or ("true" if token else "false")
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        '<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
        f"<Name>bucket</Name><Prefix></Prefix><KeyCount>{len(keys)}</KeyCount>"
        f"<MaxKeys>1000</MaxKeys>{'<EncodingType>url</EncodingType>' if quoting else ''}"
        f"<IsTruncated>{truncated}</IsTruncated>{more}{contents}"
        "<CommonPrefixes><Prefix>p/</Prefix></CommonPrefixes></ListBucketResult>"
    ).encode()


ANY_KEY = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12)
XML_KEY = st.text("ab c+%&<>\"'/é漢😀", min_size=1, max_size=12)
TOKEN = st.one_of(st.none(), st.text("aZ09+/=&<", min_size=1))


def encoded(how: str) -> Callable[[str], str]:
    """S3 writes a space as ``+``, Ceph and Swift as ``%20``; some leave ``/`` alone."""
    ways: dict[str, Callable[[str], str]] = {
        "s3": quote_plus,
        "ceph": quote,
        "all": lambda key: quote(key, safe=""),
    }
    return ways[how]


@given(st.lists(ANY_KEY, max_size=5), TOKEN, st.sampled_from(["s3", "ceph", "all"]))
@settings(deadline=None)
def test_encoded_pages_give_their_keys(keys: list[str], token: str | None, how: str) -> None:
    found = parse_page(page(keys, token, quoting=encoded(how)))
    listed = [Listed(key, at, ETAG, DATE, "STANDARD") for at, key in enumerate(keys)]
    assert found == Page(listed, token)


@given(st.lists(XML_KEY.filter(lambda key: key.strip() == key), max_size=5), TOKEN)
@settings(deadline=None)
def test_a_store_that_ignores_the_encoding_gives_its_keys(
    keys: list[str], token: str | None
) -> None:
    assert [listed.key for listed in parse_page(page(keys, token)).objects] == keys


def test_a_page_of_thousands() -> None:
    keys = [f"k/{at:06}" for at in range(5000)]
    assert [listed.key for listed in parse_page(page(keys)).objects] == keys


def test_the_time_of_modification() -> None:
    (listed,) = parse_page(page(["k"])).objects
    assert listed.mtime == pytest.approx(1_795_217_820.123)


def test_a_token_without_truncation_is_the_last_page() -> None:
    assert parse_page(page(["k"], "token", truncated="false")).token is None


WHOLE = page(["k" * 50, "l"], "token", quoting=quote)
UNSOUND = {
    "truncated without a token": page(["k"], truncated="true"),
    "truncated without a token, in capitals": page(["k"], truncated="True"),
    "nothing": b"",
    "no XML": b"<html><body>503 Service Temporarily Unavailable<br></body>",
    "garbage": b"\x00\x01\x02\xff" * 10,
    "an error with status 200": b"<Error><Code>InternalError</Code></Error>",
    "another root": WHOLE.replace(b"ListBucketResult", b"ListAllMyBucketsResult"),
    "cut": WHOLE[: len(WHOLE) // 2],
    "cut at the end": WHOLE[:-1],
    "two documents": WHOLE + b"<more/>",
    "no key": WHOLE.replace(b"<Key>l</Key>", b""),
    "no size": WHOLE.replace(b"<Size>1</Size>", b""),
    "a size that is no number": WHOLE.replace(b"<Size>1</Size>", b"<Size>1 KiB</Size>"),
    "a key that is no UTF-8": WHOLE.replace(b"<Key>l</Key>", b"<Key>%FF</Key>"),
    "an unknown character set": WHOLE.replace(b"UTF-8", b"x-none"),
}


@pytest.mark.parametrize("body", UNSOUND.values(), ids=UNSOUND)
def test_what_is_no_sound_page_is_an_error(body: bytes) -> None:
    with pytest.raises(ListingError) as caught:
        parse_page(body)
    assert caught.value.kind is FailureKind.STORE
    assert "\n" not in str(caught.value)


@given(st.integers(1, len(WHOLE) - 1))
def test_no_cut_page_passes_for_a_whole_one(length: int) -> None:
    with pytest.raises(ListingError):
        parse_page(WHOLE[:length])


class Lister:
    """Answers with each body in turn, and notes what it was asked."""

    def __init__(self, *bodies: bytes) -> None:
        self.asked: list[dict[str, str]] = []
        self._bodies = list(bodies)

    async def list_page(self, parameters: dict[str, str]) -> bytes:
        self.asked.append(parameters)
        return self._bodies.pop(0)


CUT = UNSOUND["cut"]
SOUND = page(["k"])


@pytest.mark.parametrize("bad", [0, 1, 2])
def test_a_page_that_cannot_be_read_is_asked_for_again(bad: int) -> None:
    lister = Lister(*[CUT] * bad, SOUND, SOUND)
    found = asyncio.run(fetch_page(lister, {"prefix": "p"}))
    assert found == parse_page(SOUND)
    assert lister.asked == [{"prefix": "p"}] * (bad + 1)


def test_a_page_is_asked_for_three_times_at_most() -> None:
    lister = Lister(*[CUT] * 10)
    with pytest.raises(ListingError):
        asyncio.run(fetch_page(lister, {"prefix": "p"}))
    assert len(lister.asked) == 3


def test_a_refusal_is_not_asked_for_again() -> None:
    class Refused(Exception):
        pass

    class Refuser(Lister):
        async def list_page(self, parameters: dict[str, str]) -> bytes:
            await super().list_page(parameters)
            raise Refused

    lister = Refuser(b"", b"")
    with pytest.raises(Refused):
        asyncio.run(fetch_page(lister, {"prefix": "p"}))
    assert len(lister.asked) == 1


@pytest.mark.parametrize("modified", ["2026-01-02T03:04:05Z", "2026-01-02T03:04:05"])
def test_a_time_without_a_zone_is_greenwichs(
    modified: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    try:
        assert Listed("k", 1, "e", modified, "").mtime == 1767323045
    finally:
        monkeypatch.undo()
        time.tzset()
