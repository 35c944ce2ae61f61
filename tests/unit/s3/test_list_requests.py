"""How pages are asked for, of stores that know less than S3 does, or say what is not so."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from urllib.parse import quote, quote_plus
from xml.sax.saxutils import escape

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from s3pp.s3.list_requests import ListRequests
from s3pp.s3.listing import ListingError
from s3pp.s3.retry import StoreError

from .listers import collect

SIZE = 3
NOT_KNOWN = StoreError(501, "NotImplemented", "no")
Quoting = Callable[[str], str]


class OtherStore:
    """A store that lists in its own way.

    ``refusal``: of ListObjectsV2; ``mixes``: answers it with pages of ListObjects. ``quoting``: how
    keys are written where they are to be encoded; ``says``: whether it then says so.
    """

    def __init__(
        self,
        keys: Iterable[str],
        *,
        refusal: StoreError | None = None,
        mixes: bool = False,
        quoting: Quoting = quote_plus,
        says: bool = True,
    ) -> None:
        self.keys = sorted(keys, key=str.encode)
        self.asked: list[dict[str, str]] = []
        self._refusal, self._mixes, self._quoting, self._says = refusal, mixes, quoting, says

    async def send(self, parameters: dict[str, str]) -> bytes:
        self.asked.append(parameters)
        first = "list-type" not in parameters
        if self._refusal and not first:
            raise self._refusal
        first = first or self._mixes
        after = parameters.get("marker" if first else "start-after", "")
        after = parameters.get("continuation-token", after)
        below = [key for key in self.keys if key.encode() > after.encode()]
        return self._page(below[:SIZE], below[SIZE:], first, "encoding-type" in parameters)

    def _page(self, keys: list[str], rest: list[str], first: bool, encoded: bool) -> bytes:
        written = [escape((self._quoting if encoded else str)(key)) for key in keys]
        contents = "".join(
            f"<Contents><Key>{key}</Key><LastModified>x</LastModified><ETag>&quot;e&quot;</ETag>"
            "<Size>1</Size><StorageClass>STANDARD</StorageClass></Contents>"
            for key in written
        )
        said = "<EncodingType>url</EncodingType>" if encoded and self._says else ""
        token = f"<NextContinuationToken>{escape(keys[-1])}</NextContinuationToken>" if rest else ""
        version = "<Marker></Marker>" if first else f"<KeyCount>{len(keys)}</KeyCount>{token}"
        more = f"<IsTruncated>{str(bool(rest)).lower()}</IsTruncated>"
        return f"<ListBucketResult>{said}{version}{more}{contents}</ListBucketResult>".encode()


class Asking:
    """A lister that asks a store as a bucket does."""

    def __init__(self, store: OtherStore) -> None:
        self.list_page = ListRequests(store.send).page


def listed(store: OtherStore, listers: int = 1) -> list[str]:
    return asyncio.run(collect(Asking(store), listers=listers))[0]


PLAIN = [f"k/{n:02d}" for n in range(10)]
TRICKY = ["a b", "a+b", "a%20b", "a%2Bb", "é", "%C3%A9", "x&<y>", "100%", "d/a b+c%é"]


@pytest.mark.parametrize("listers", [1, 4])
@pytest.mark.parametrize("status", [400, 404, 405, 501])
def test_a_store_without_the_second_version_is_listed_by_markers(status: int, listers: int) -> None:
    store = OtherStore(PLAIN, refusal=StoreError(status, "NotImplemented", "no"))
    assert listed(store, listers) == PLAIN
    assert sum("list-type" in each for each in store.asked) == 1


@pytest.mark.parametrize("listers", [1, 4])
def test_a_store_that_does_not_look_at_the_version(listers: int) -> None:
    store = OtherStore(PLAIN, mixes=True)
    assert listed(store, listers) == PLAIN
    assert sum("list-type" in each for each in store.asked) == 1


def test_what_begins_behind_a_key_does_so_under_either_version() -> None:
    for store in (OtherStore(PLAIN, mixes=True), OtherStore(PLAIN, refusal=NOT_KNOWN)):
        found, told = asyncio.run(collect(Asking(store), start_after="k/04"))
        assert (found, told) == (PLAIN[5:], [])


@pytest.mark.parametrize(
    "refusal",
    [
        StoreError(403, "AccessDenied", "no"),
        StoreError(404, "NoSuchBucket", "no"),
        StoreError(400, "InvalidToken", "no"),
        StoreError(503, "SlowDown", "no"),
    ],
    ids=lambda refusal: refusal.code,
)
def test_other_refusals_are_not_about_the_version(refusal: StoreError) -> None:
    store = OtherStore(PLAIN, refusal=refusal)
    with pytest.raises(StoreError, match=refusal.code):
        listed(store)
    assert len(store.asked) == 1


def test_a_store_that_lists_neither_way_is_quoted_with_its_first_refusal() -> None:
    async def send(parameters: dict[str, str]) -> bytes:
        raise StoreError(501 if "list-type" in parameters else 400, "No", "really")

    with pytest.raises(StoreError) as caught:
        asyncio.run(ListRequests(send).page({"prefix": ""}))
    assert caught.value.status == 501


def test_a_marker_that_is_ignored_ends_the_listing() -> None:
    class Deaf(OtherStore):
        async def send(self, parameters: dict[str, str]) -> bytes:
            return await super().send({k: v for k, v in parameters.items() if k != "marker"})

    store = Deaf(PLAIN, refusal=NOT_KNOWN)
    with pytest.raises(ListingError, match="repeats"):
        listed(store)
    assert len(store.asked) < 6


HONEST: list[tuple[Quoting, bool]] = [(quote_plus, True), (quote, True), (str, False)]
DISHONEST: list[tuple[Quoting, bool]] = [(str, True), (quote, False), (quote_plus, False)]


@pytest.mark.parametrize(("quoting", "says"), HONEST + DISHONEST)
@pytest.mark.parametrize("mixes", [False, True])
@pytest.mark.parametrize("listers", [1, 4])
def test_keys_are_what_they_are_whatever_is_said_of_them(
    quoting: Quoting, says: bool, mixes: bool, listers: int
) -> None:
    store = OtherStore(TRICKY, quoting=quoting, says=says, mixes=mixes)
    assert listed(store, listers) == store.keys


@given(
    st.lists(st.text("ab +%2é&/C", min_size=1, max_size=6), unique=True, max_size=8),
    st.sampled_from(HONEST + DISHONEST),
)
@settings(deadline=None)
def test_any_keys_are(keys: list[str], how: tuple[Quoting, bool]) -> None:
    keys = [key for key in keys if key.strip() == key]
    store = OtherStore(keys, quoting=how[0], says=how[1])
    assert listed(store) == store.keys


def test_an_honest_store_is_asked_once_more_in_all() -> None:
    store = OtherStore([f"a b/{n:02d}" for n in range(30)])
    assert listed(store, 4) == store.keys
    assert sum("encoding-type" not in each for each in store.asked) == 1


def test_keys_without_anything_to_encode_cost_no_request() -> None:
    store = OtherStore([f"k{n}" for n in range(10)])
    listed(store)
    assert len(store.asked) == 4


def test_control_characters_come_as_they_are_where_the_store_says_that_it_encodes() -> None:
    store = OtherStore(["a\x01b", "a b", "c"])
    assert listed(store) == store.keys
    assert len(store.asked) == 1


def test_a_store_that_cannot_be_asked_otherwise_is_believed() -> None:
    class Strict(OtherStore):
        async def send(self, parameters: dict[str, str]) -> bytes:
            if "encoding-type" not in parameters:
                raise StoreError(500, "InternalError", "no")
            return await super().send(parameters)

    store = Strict(TRICKY)
    assert listed(store) == store.keys


def test_control_characters_of_a_store_that_does_not_say_so_are_an_error_and_no_other_name() -> (
    None
):
    with pytest.raises(ListingError):
        listed(OtherStore(["a\x01b"], says=False))
