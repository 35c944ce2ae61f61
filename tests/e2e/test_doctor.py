"""``s3pp doctor`` against stores that are well: what it finds, and that nothing is left."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from commands import Result, Run
from conftest import MakeRecorder
from stores.certificates import Authority
from stores.store import Bucket, Store

# What each store lacks; docs/stores.rst has the same.
LACKING = {
    "moto": {"copy if absent", "Content-MD5"},
    "swift": {"put if unchanged", "copy if absent", "tags"},
    "rgw": {"put if unchanged", "copy if absent", "complete if absent", "delete if unchanged"},
    "seaweedfs": {"odd keys", "order of listings", "start-after"},
}


def findings(result: Result) -> dict[str, dict[str, Any]]:
    """The findings of a run with ``--json``, by ``section/check``."""
    sections = json.loads(result.out)["sections"]
    return {f"{title}/{each['check']}": each for title, found in sections.items() for each in found}


def test_a_store_that_is_well(s3pp: Run, bucket: Bucket) -> None:
    result = s3pp("doctor", "--json", f"{bucket.url}/p", store=bucket.store)
    assert (result.code, result.err) == (0, "")
    found = findings(result)
    assert not [each for each in found.values() if each["rating"] == "failed"]
    warned = {name.partition("/")[2] for name, each in found.items() if each["rating"] == "warning"}
    assert warned - {"memory", "open files", "temporary files"} == LACKING[bucket.store.name]
    assert found["credentials/source"]["found"] == "the environment (AWS_ACCESS_KEY_ID)"
    assert found["permissions/put object"]["found"] == "allowed"
    assert found["speed/suggestion"]["found"].startswith("-c ")
    assert found["probe/probe objects"]["found"] == "removed"
    assert bucket.keys() == []
    assert not bucket.client.list_multipart_uploads(Bucket=bucket.name).get("Uploads")


def test_nothing_is_written_with_read_only(
    s3pp: Run, moto_bucket: Bucket, recorder: MakeRecorder
) -> None:
    moto_bucket.put("p/a", b"content")
    between = recorder(moto_bucket.store)
    result = s3pp("doctor", "--read-only", f"{moto_bucket.url}/p/", store=between.store)
    assert result.code == 0
    assert {each.method for each in between.requests} == {"GET", "HEAD"}
    assert "  not tried  put object: --read-only\n" in result.out
    assert "  ok         get object: allowed\n" in result.out
    assert result.out.splitlines()[-1].startswith("doctor: ")


def test_options_of_files_hold(s3pp: Run, moto_bucket: Bucket, tmp_path: Path) -> None:
    (tmp_path / "s3pp.toml").write_text('region = "eu-west-1"\n[put]\nconcurrency = 8\n')
    result = s3pp("doctor", "--read-only", moto_bucket.url, store=moto_bucket.store)
    assert result.code == 0
    assert "region: eu-west-1, from --region, or its default" in result.out
    assert "enough for 8 requests in flight" in result.out


def test_no_version_of_a_probe_is_left(s3pp: Run, moto_bucket: Bucket) -> None:
    client, name = moto_bucket.client, moto_bucket.name
    client.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
    moto_bucket.put("p/a", b"content")
    result = s3pp("doctor", moto_bucket.url, store=moto_bucket.store)
    assert "versioning: enabled: what is deleted or replaced is kept" in result.out
    assert "  ok         probe objects: removed\n" in result.out
    kept = client.list_object_versions(Bucket=name)
    assert [each["Key"] for each in kept["Versions"]] == ["p/a"]
    assert "DeleteMarkers" not in kept


def test_what_object_lock_would_keep_is_not_written(s3pp: Run, moto: Store) -> None:
    client, name = moto.client(), "test-with-object-lock"
    client.create_bucket(Bucket=name, ObjectLockEnabledForBucket=True)
    rule = {"DefaultRetention": {"Mode": "GOVERNANCE", "Days": 2}}
    lock = {"ObjectLockEnabled": "Enabled", "Rule": rule}
    client.put_object_lock_configuration(Bucket=name, ObjectLockConfiguration=lock)
    result = s3pp("doctor", f"s3://{name}", store=moto)
    assert "object lock: governance: versions cannot be deleted for 2 days" in result.out
    assert "not tried  put object: object lock would keep what is written" in result.out
    assert "Versions" not in client.list_object_versions(Bucket=name)


def test_without_a_bucket_and_over_tls(
    s3pp: Run, moto_bucket: Bucket, recorder: MakeRecorder, authority: Authority
) -> None:
    store = replace(moto_bucket.store, url=recorder(moto_bucket.store, tls=authority.context).url)
    trusted = s3pp("doctor", "--json", "--ca-bundle", authority.ca_bundle, store=store)
    found = findings(trusted)
    assert trusted.code == 0
    assert "certificate of localhost, 127.0.0.1, valid for" in found["network/TLS"]["found"]
    assert found["network/TLS"]["advice"] == "have the certificate renewed"  # it ends tomorrow
    assert "bucket" in found["store/buckets"]["found"]
    untrusted = s3pp("doctor", "-q", store=store)
    assert (untrusted.code, untrusted.err) == (3, "")
    assert "is not trusted" in untrusted.out
    assert "-> name the authority's file with --ca-bundle" in untrusted.out
    unverified = s3pp("doctor", "-q", "--no-verify-ssl", store=store)
    assert unverified.code == 0
    assert "warning    TLS: " in unverified.out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["s3://a-bucket", "s3://b-bucket"], "doctor examines one place: name one s3://"),
        (["bucket"], "'bucket' is not of the form s3://BUCKET[/PREFIX]"),
        (["--read-onyl"], "--read-onyl is not an option of it: did you mean --read-only?"),
    ],
)
def test_bad_usage(s3pp: Run, words: list[str], said: str) -> None:
    result = s3pp("doctor", *words, store=None)
    assert (result.code, result.out) == (2, "")
    assert said in result.err
