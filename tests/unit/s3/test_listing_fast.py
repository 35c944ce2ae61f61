"""The fast reading of a page gives what expat gives, or leaves the page to it."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from urllib.parse import quote, quote_plus
from xml.sax.saxutils import escape

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from effort import examples
from s3pp.s3 import listing
from s3pp.s3.listing import (
    Listed,
    ListingError,
    Page,
    PageOrder,
    _read_columns,
    ascending,
    parse_page,
)

OWNER = "<Owner><ID>75aa57f09aa0c8caeab4f8c24e99d10f</ID><DisplayName>me</DisplayName></Owner>"
TIME = "<LastModified>2026-11-20T23:37:00.123Z</LastModified>"
# How stores write the elements behind the key.
STORES = {
    "AWS": TIME + "<ETag>&quot;{etag}&quot;</ETag><ChecksumAlgorithm>CRC64NVME</ChecksumAlgorithm>"
    "<ChecksumType>FULL_OBJECT</ChecksumType><Size>{size}</Size>"
    "<StorageClass>STANDARD_IA</StorageClass>",
    "AWS, with owners": TIME + "<ETag>&quot;{etag}&quot;</ETag><Size>{size}</Size>" + OWNER
    + "<StorageClass>GLACIER</StorageClass>",
    "Ceph": TIME + "<ETag>&quot;{etag}&quot;</ETag><Size>{size}</Size>"
    "<StorageClass>STANDARD</StorageClass>" + OWNER + "<Type>Normal</Type>",
    "MinIO": TIME + "<ETag>&#34;{etag}&#34;</ETag><Size>{size}</Size>"
    "<Owner><ID></ID><DisplayName></DisplayName></Owner><StorageClass>STANDARD</StorageClass>",
    "moto": TIME + '<ETag>"{etag}"</ETag><ChecksumAlgorithm>CRC32</ChecksumAlgorithm>'
    "<Size>{size}</Size><StorageClass>STANDARD</StorageClass>",
    "Swift": TIME + '<ETag>"{etag}"</ETag><Size>{size}</Size><StorageClass>STANDARD</StorageClass>',
    "plain": TIME + "<ETag>{etag}</ETag><Size>{size}</Size>",
    "weak": TIME + "<ETag>W/&quot;{etag}&quot;</ETag><Size>{size}</Size>",
}  # fmt: skip
ODD = {
    "restored": STORES["AWS"] + "<RestoreStatus><IsRestoreInProgress>false</IsRestoreInProgress>"
    "</RestoreStatus>",
    "another order": "<Size>{size}</Size>" + TIME + "<ETag>{etag}</ETag>",
    "white space": "\n  " + STORES["AWS"].replace("><", ">\n  <") + "\n",
    "no time": "<ETag>{etag}</ETag><Size>{size}</Size>",
    "no size": TIME + "<ETag>{etag}</ETag>",
    "two sizes": TIME + "<ETag>{etag}</ETag><Size>{size}</Size><Size>1</Size>",
    "a size with spaces": TIME + "<ETag>{etag}</ETag><Size> {size} </Size>",
    "no number": TIME + "<ETag>{etag}</ETag><Size>-</Size>",
    "a comment": TIME + "<!-- <Contents> --><ETag>{etag}</ETag><Size>{size}</Size>",
    "an entity": TIME + "<ETag>&lt;{etag}</ETag><Size>{size}</Size>",
    "an unknown entity": TIME + "<ETag>&nbsp;{etag}</ETag><Size>{size}</Size>",
    "not closed": TIME + "<ETag>{etag}<Size>{size}</Size>",
}
ETAGS: list[Callable[[int], str]] = [
    lambda at: f"{at:032x}",
    lambda at: f"{at + 10:032X}",
    lambda at: f"{at + 10:032X}-{at}",
    lambda at: f"Opaque{at}",
    lambda at: f"w/{at}",
]
KEYS = st.one_of(
    st.text("ab/é漢😀 ", min_size=1, max_size=6),
    st.text("%+&<>\"']\n\r\t\x01\x7f\ufffe", min_size=1, max_size=3),
    st.sampled_from(["</Key>", "]]>", "<Contents>", "%FF", "%C3", "%A9", "a%0Ab", "&amp;"]),
)


HEADS = [
    "",
    "\n",
    '<?xml version="1.0" encoding="UTF-8"?>\n',
    "<?xml version='1.0' encoding='utf-8' ?>",
    '<?xml version="1.0" encoding="ISO-8859-1"?>',
    "<?xml version='1.0'?>",
    "<!-- <Contents> -->",
]
WRITINGS: list[Callable[[str], str]] = [
    escape,
    str,
    quote,
    quote_plus,
    lambda key: quote(key, safe=""),
]
BETWEEN = ["", "", "", "\n", "x", "<Prefix>p</Prefix>", "<!-- -->"]
AROUND = ["{}", "{}", "{}", "<X>{}</X>", "<!--{}-->", "<![CDATA[{}]]>", "{}</X>"]
REST = [
    "",
    "<IsTruncated>false</IsTruncated>",
    "<Contents/>",
    "<Contents a='b'></Contents>",
    "<IsTruncated>true</IsTruncated><NextContinuationToken>t&amp;</NextContinuationToken>",
    "<IsTruncated>true</IsTruncated>",
]


@st.composite
def bodies(draw: st.DrawFn) -> bytes:
    """A page: sound, or with something about it that is not."""
    written = draw(st.sampled_from(WRITINGS))
    kinds = [*STORES.values(), *draw(st.sampled_from([[], ODD.values()]))]
    entries = [
        f"<Key>{written(key)}</Key>"
        + draw(st.sampled_from(kinds)).format(etag=draw(st.sampled_from(ETAGS))(at), size=at)
        for at, key in enumerate(draw(st.lists(KEYS, max_size=5)))
    ]
    between = draw(st.sampled_from(BETWEEN))
    contents = between.join(f"<Contents>{entry}</Contents>" for entry in entries)
    contents = draw(st.sampled_from(AROUND)).replace("{}", contents)
    encoding = draw(st.sampled_from(["", "<EncodingType>url</EncodingType>"]))
    first, last = draw(st.permutations([encoding, draw(st.sampled_from(REST))]))
    root = f"<ListBucketResult>{first}{contents}{last}</ListBucketResult>"
    text = draw(st.sampled_from(HEADS)) + root
    return text.encode()[: draw(st.one_of(st.just(None), st.integers(0, 2000)))]


def outcome(body: bytes) -> Page | str:
    try:
        return parse_page(body)
    except ListingError as error:
        return str(error)


@given(bodies())
@settings(deadline=None, max_examples=examples(1000))
def test_both_readings_agree(body: bytes) -> None:
    fast = outcome(body)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(listing, "_read_columns", lambda _: None)
        assert fast == outcome(body)


@pytest.mark.parametrize("name", STORES)
def test_what_stores_write_is_read_fast(name: str) -> None:
    entry = STORES[name].format(etag="0f" * 16, size=7)
    contents = f"<Contents><Key>a</Key>{entry}</Contents><Contents><Key>b</Key>{entry}</Contents>"
    body = f"<ListBucketResult>{contents}<KeyCount>2</KeyCount></ListBucketResult>".encode()
    found = _read_columns(body)
    assert found is not None
    assert (found.keys, found.sizes, found.etags) == (["a", "b"], [7, 7], ["0f" * 16] * 2)
    assert found.rest.count(b"<Contents>") == 1


@pytest.mark.parametrize("name", ODD)
def test_what_is_odd_is_left_to_expat(name: str) -> None:
    entry = ODD[name].format(etag="0f" * 16, size=7)
    body = f"<ListBucketResult><Contents><Key>a</Key>{entry}</Contents></ListBucketResult>"
    assert _read_columns(body.encode()) is None


def objects(keys: str) -> list[Listed]:
    return [Listed(key, 1, "", "") for key in keys]


@given(st.lists(st.text("aé漢😀\uffff", max_size=3), max_size=4))
@example(["\uffff", "😀"])
def test_the_order_is_that_of_utf_8_bytes(keys: list[str]) -> None:
    encoded = [key.encode() for key in keys]
    expected = all(low < high for low, high in pairwise(encoded))
    assert ascending([Listed(key, 1, "", "") for key in keys]) is expected


def test_a_order_follows_what_goes_on() -> None:
    order = PageOrder("a")
    assert order.follow(Page(objects("bc"), "1"))
    assert order.follow(Page([], "2"))
    assert order.follow(Page(objects("de"), None))
    assert order.last == "e"


@pytest.mark.parametrize(
    ("pages", "why"),
    [
        (["ab", "ab"], "repeats"),
        (["ab", "ac"], "repeats"),
        (["ab", "bc"], "repeated"),
        (["aba"], "repeated"),
        (["bc", "ab"], "repeated"),
        (["ab", "cd", "ab"], "repeats"),
        (["", "", ""] * 40, "empty"),
    ],
)
def test_a_order_that_comes_back_is_an_error(pages: list[str], why: str) -> None:
    def follow() -> None:
        order = PageOrder()
        for at, keys in enumerate(pages):
            order.follow(Page(objects(keys), f"token {at}"))

    with pytest.raises(ListingError, match=why):
        follow()


def test_a_token_that_repeats_is_an_error() -> None:
    order = PageOrder()
    order.follow(Page(objects("ab"), "token"))
    with pytest.raises(ListingError, match="marker"):
        order.follow(Page(objects("cd"), "token"))


def test_disorder_is_reported() -> None:
    assert not PageOrder().follow(Page(objects("ba"), None))
    assert not PageOrder("c").follow(Page(objects("ab"), None))
    order = PageOrder()
    assert order.follow(Page(objects("cd"), "1"))
    assert not order.follow(Page(objects("ab"), "2"))
