"""Whose uploads are open, and who hears of those whose worker has died."""

from __future__ import annotations

from s3pp.pipeline.messages import Frame, Kind, frame
from s3pp.pipeline.open_uploads import OpenUploads
from s3pp.records import OpenUpload


def said(name: str, *, is_open: bool = True) -> Frame:
    return frame(Kind.UPLOAD, OpenUpload("key", name, is_open))


def test_what_a_dead_worker_had_begun_is_told() -> None:
    uploads: OpenUploads[str] = OpenUploads()
    for worker, name in (("one", "a"), ("one", "b"), ("other", "c")):
        uploads.hear(worker, said(name))
    uploads.hear("one", said("a", is_open=False))
    assert uploads.leave("one") == [said("b")]
    assert uploads.leave("one") == uploads.leave("nobody") == []
    assert uploads.leave("other") == [said("c")]
    assert uploads.orphans == [said("b"), said("c")]


def test_what_is_closed_by_another_is_no_matter() -> None:
    uploads: OpenUploads[str] = OpenUploads()
    uploads.hear("one", said("a"))
    uploads.hear("other", said("a", is_open=False))
    assert uploads.leave("one") == [said("a")]
