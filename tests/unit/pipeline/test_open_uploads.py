"""Whose uploads are open, and who hears of those whose worker has died."""

from __future__ import annotations

from s3pp.pipeline.assignments import OpenUploads
from s3pp.records import OpenUpload


def said(name: str, *, is_open: bool = True) -> OpenUpload:
    return OpenUpload("key", name, is_open)


def test_what_a_dead_worker_had_begun_is_told() -> None:
    uploads: OpenUploads[str] = OpenUploads()
    for worker, name in (("one", "a"), ("one", "b"), ("other", "c")):
        uploads.update(worker, said(name))
    uploads.update("one", said("a", is_open=False))
    assert uploads.leave("one") == [said("b")]
    assert uploads.leave("one") == uploads.leave("nobody") == []
    assert uploads.leave("other") == [said("c")]
    assert uploads.orphans == [said("b"), said("c")]


def test_what_is_closed_by_another_is_no_matter() -> None:
    uploads: OpenUploads[str] = OpenUploads()
    uploads.update("one", said("a"))
    uploads.update("other", said("a", is_open=False))
    assert uploads.leave("one") == [said("a")]
