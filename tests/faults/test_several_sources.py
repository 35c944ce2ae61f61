"""Several sources in one run, one of which cannot be read."""

from __future__ import annotations

import pytest

from commands import Run
from conftest import MakeRecorder, Tree
from stores.relay import Answer, Request, error
from stores.store import Bucket, Store


@pytest.mark.parametrize("verb", ["copy", "get"])
def test_a_source_that_cannot_be_listed_ends_the_run(
    verb: str, s3pp: Run, moto: Store, moto_bucket: Bucket, recorder: MakeRecorder, tree: Tree
) -> None:
    """What the others hold may be in conflict with it, and is not transferred."""
    other, dest, out = moto.bucket(), moto.bucket(), tree({}, "out")
    moto_bucket.put("a", b"1")
    other.put("b", b"2")

    def refuse(request: Request) -> Answer | None:
        is_page = "list-type=2" in request.target and "max-keys=1" not in request.target
        return error(403, "AccessDenied") if is_page and other.name in request.target else None

    between = recorder(moto, intercept=refuse)
    words = [moto_bucket.url, other.url, dest.url if verb == "copy" else out]
    result = s3pp(verb, *words, store=between.store)
    assert (result.code, dest.tree(), tree.read(out)) == (3, {}, {})
    assert f"list {other.url}/: AccessDenied" in result.err


def test_the_keys_of_each_bucket_are_refused_by_name(
    s3pp: Run, moto: Store, moto_bucket: Bucket, recorder: MakeRecorder, tree: Tree
) -> None:
    """An object that one bucket refuses is named with its bucket; the others are fetched."""
    other, out = moto.bucket(), tree({}, "out")
    moto_bucket.put("a", b"1")
    other.put("b", b"2")
    other.put("c", b"3")

    def refuse(request: Request) -> Answer | None:
        return error(403, "AccessDenied") if request.path.endswith("/b") else None

    between = recorder(moto, intercept=refuse)
    result = s3pp("get", moto_bucket.url, other.url, out, store=between.store)
    assert (result.code, tree.read(out)) == (1, {"a": b"1", "c": b"3"})
    assert f"get {other.url}/b -> {out}/b: " in result.err
