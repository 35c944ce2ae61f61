"""Unfinished uploads of keys that stores list in their own way are resumed, and cleaned."""

from __future__ import annotations

import pytest

from commands import Run
from conftest import MakeRecorder, Tree
from faults.large import MIB, PART, SMALL_PARTS, begin, parts_of, uploads
from stores.relay import Rewriter
from stores.store import Bucket, Store
from stores.upload_lists import ceph_rgw, seaweedfs, with_control_character
from trees import content

KEY = "a dir/b+c %20é%"


@pytest.mark.parametrize("habit", [ceph_rgw, seaweedfs, with_control_character])
def test_each_is_resumed_and_cleaned(
    s3pp: Run, moto: Store, moto_bucket: Bucket, tree: Tree, recorder: MakeRecorder, habit: Rewriter
) -> None:
    record = recorder(moto, rewrite=habit)
    body = content(PART + MIB)
    begin(moto_bucket, KEY, {1: parts_of(body)[1]})
    result = s3pp("put", *SMALL_PARTS, tree({KEY: body}), moto_bucket.url, store=record.store)
    assert (result.code, moto_bucket.tree()) == (0, {KEY: body}), result.err
    assert "1 of 2 parts exist already" in result.err
    assert record.count("PUT", "partNumber=1&") == 0
    assert uploads(moto_bucket) == set()
    for key in (KEY, "b", "100%", "%41"):
        begin(moto_bucket, key, {1: b"x"})
    record.clear()
    result = s3pp("clean", "-v", "--older-than=0s", moto_bucket.url, store=record.store)
    assert (result.code, result.err) == (0, ""), result.err
    assert f"abort {moto_bucket.url}/{KEY} (1 part," in result.out
    assert uploads(moto_bucket) == set()
    aborted = {request.path for request in record.requests if request.method == "DELETE"}
    assert f"/{moto_bucket.name}/a%20dir/b%2Bc%20%2520%C3%A9%25" in aborted
