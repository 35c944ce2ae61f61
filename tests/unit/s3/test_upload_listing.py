"""When a list of uploads has gone past those of a key: as soon as can be, and never too early."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3pp.s3.upload_listing import Upload, UploadOrder

KEY = "film"


def page(*keys: str, ages: str = "") -> list[Upload]:
    """Uploads of these keys, begun in the order of the letters in ``ages``."""
    ages = ages or "bac"
    return [Upload(key, f"{at}", ages[at % len(ages)]) for at, key in enumerate(keys)]


@pytest.mark.parametrize(
    ("pages", "past"),
    [
        ([page("film", "film", "film-2")], True),
        ([page("film", "film", "film")], False),
        ([page("film2", "film3", "films")], True),
        ([page("film-1", "film-2", "film-3")], False),  # Ceph has "film.2~id" behind them
        ([page("film.1", "film.2", "film.3")], False),  # and Swift "film/id"
        ([page("film.1", "film.2", "film.3"), page("film3")], True),
        ([page("film3", "film1", "film2")], False),
        ([page("film-1", "film-2", "film-9"), page("film-3", "film6", "film7")], False),
        ([page("film", "film2", "film3", ages="abc")], False),  # sorted by age, perhaps
        ([page("film", "film2", "film3", ages="cba")], False),
        ([page("film", "film2", "film3", ages="aaa")], False),
        ([page()], False),
    ],
)
def test_pages(pages: list[list[Upload]], past: bool) -> None:
    passage = UploadOrder(KEY)
    *before, last = pages
    assert not any(passage.advance(each) for each in before)
    assert passage.advance(last) is past


ORDERS: dict[str, Callable[[Upload], str]] = {
    "S3": lambda each: each.key,
    "Ceph": lambda each: f"{each.key}.2~{each.id}",
    "Swift": lambda each: f"{each.key}/{each.id}",
    "age": lambda each: each.initiated,
}
UPLOADS = st.builds(
    Upload,
    st.text("-./09aé", max_size=2).map(lambda end: KEY + end),
    st.text("abc", min_size=1, max_size=4),
    st.text("0123", min_size=1, max_size=2),
)


@pytest.mark.parametrize("store", ORDERS)
@given(uploads=st.lists(UPLOADS, max_size=12), size=st.integers(1, 4))
def test_no_upload_of_the_key_is_missed(store: str, uploads: list[Upload], size: int) -> None:
    uploads = sorted(uploads, key=ORDERS[store])
    pages = [uploads[at : at + size] for at in range(0, len(uploads), size)]
    passage = UploadOrder(KEY)
    for at, each in enumerate(pages):
        if passage.advance(each):
            assert all(upload.key != KEY for rest in pages[at + 1 :] for upload in rest)
            break
