"""Two stores, two accounts: what the one cannot copy by itself goes through this machine."""

from __future__ import annotations

from dataclasses import replace

import pytest

from commands import Run
from conftest import MakeRecorder, WriteProfiles
from outcomes import failures, reasons
from stores.relay import Answer, Request, error
from stores.store import Bucket, Store
from trees import content

OBJECTS = {
    "p/a.txt": b"alpha",
    "p/empty": b"",
    "p/ä &+%/b": content(70_000),
    "p/../odd": b"odd",
    "p/large": content(9 << 20),
}


@pytest.mark.swift
@pytest.mark.parametrize(("there", "how"), [("swift", "url"), ("moto", "profile")])
def test_from_one_store_to_the_other(
    s3pp: Run, moto: Store, swift: Store, profiles: WriteProfiles, there: str, how: str
) -> None:
    source, dest = (moto, swift) if there == "swift" else (swift, moto)
    bucket, other = source.bucket(), dest.bucket()
    headers = {"ContentType": "text/x-mine", "CacheControl": "no-store", "Metadata": {"a": "b"}}
    for key, body in OBJECTS.items():
        bucket.put(key, body, **headers)
    bucket.put_multipart("p/parts", b"parts")
    env = profiles(source=source, dest=dest)
    words = ["--source-profile", "source", f"{bucket.url}/p", f"{other.url}/q"]
    if how == "url":
        settings = {"store": dest, "env": env}
        words = ["--source-endpoint-url", source.url, *words]
    else:
        settings = {"store": None, "env": env}
        words = ["--profile", "dest", *words]
    result = s3pp("copy", "--json", *words, **settings)
    assert (result.code, failures(result)) == (0, {})
    expected = {f"q/{key[2:]}": body for key, body in OBJECTS.items()} | {"q/parts": b"parts"}
    assert other.tree() == expected
    for key in OBJECTS:
        head = other.head(f"q/{key[2:]}")
        found = head["ContentType"], head["CacheControl"], head["Metadata"]
        assert found == ("text/x-mine", "no-store", {"a": "b"})
    assert "through this machine" in result.err
    assert moto.secret_key not in result.out + result.err
    again = s3pp("copy", "--json", *words, **settings)
    assert again.code == 0
    assert set(reasons(again).values()) == {"same etag"}  # that of what was sent in parts as well


def test_streamed_bodies_come_whole_and_cost_a_get_and_a_put_each(
    s3pp: Run, moto: Store, moto_bucket: Bucket, recorder: MakeRecorder
) -> None:
    """Two endpoints are two stores, as far as anybody can see; what both sign is their own."""
    other = moto.bucket()
    objects = {f"{size}": content(size) for size in (0, 1, 5000, (1 << 20) + 1, 6 << 20)}
    for key, body in objects.items():
        moto_bucket.put(key, body)
    far, near = recorder(moto), recorder(moto)
    words = ["--source-endpoint-url", far.url, "--source-region", "eu-west-1"]
    words += ["--region", "us-west-2", moto_bucket.url, other.url]
    result = s3pp("copy", *words, store=near.store)
    assert (result.code, result.counts.done) == (0, len(objects))
    assert other.tree() == objects
    assert {r.method for r in far.requests} == {"GET"}
    assert len([r for r in far.requests if not r.of_bucket]) == len(objects)
    assert near.puts == len(objects)
    assert not [r for r in near.requests if "x-amz-copy-source" in r.headers]
    assert all("/eu-west-1/s3/" in r.headers["authorization"] for r in far.requests)
    assert all("/us-west-2/s3/" in r.headers["authorization"] for r in near.requests)


def test_where_the_store_does_not_copy_it_goes_through_this_machine(
    s3pp: Run, moto: Store, moto_bucket: Bucket, recorder: MakeRecorder
) -> None:
    other = moto.bucket()
    for key in ("a", "b", "c"):
        moto_bucket.put(key, key.encode())

    def refuse(request: Request) -> Answer | None:
        return error(501, "NotImplemented") if "x-amz-copy-source" in request.headers else None

    between = recorder(moto, intercept=refuse)
    result = s3pp("copy", moto_bucket.url, other.url, store=between.store)
    assert (result.code, result.counts.done) == (0, 3)
    assert other.tree() == {"a": b"a", "b": b"b", "c": b"c"}
    assert result.err.count("through this machine") == 1
    again = s3pp("copy", moto_bucket.url, other.url, store=between.store)
    assert (again.code, again.counts.skipped) == (0, 3)


def answer_code(answer: Answer) -> str:
    return answer.body.decode().partition("<Code>")[2].partition("<")[0]


@pytest.mark.parametrize(
    ("words", "header", "answer"),
    [
        (["--sse", "AES256"], "x-amz-server-side-encryption", error(501, "NotImplemented")),
        (["--acl", "public-read"], "x-amz-acl", error(501, "NotImplemented")),
        (["--acl", "private", "--source-profile", "source"], "x-amz-acl",
         error(403, "AccessDenied")),
        (["--sse", "aws:kms"], "x-amz-server-side-encryption", error(405, "MethodNotAllowed")),
    ],
)  # fmt: skip
def test_a_refused_setting_is_no_store_that_cannot_copy(
    s3pp: Run,
    moto: Store,
    moto_bucket: Bucket,
    recorder: MakeRecorder,
    profiles: WriteProfiles,
    words: list[str],
    header: str,
    answer: Answer,
) -> None:
    """As MinIO without keys answers AES256, R2 any ACL, and AWS who may not set one."""
    other = moto.bucket()
    moto_bucket.fill({f"f{n:02}": b"1" for n in range(30)} | {"large": content(9 << 20)})
    between = recorder(moto, intercept=lambda r: answer if header in r.headers else None)
    env = profiles(source=replace(moto, access_key="theirs", url=between.url))
    more = ["--json", "-P", "2", "--multipart-threshold", "8MiB", "--part-size", "5MiB"]
    result = s3pp("copy", *more, *words, moto_bucket.url, other.url, store=between.store, env=env)
    assert result.code in (1, 3)  # some objects, or all of those tried
    assert other.keys() == []
    told = {e["message"] for e in result.events if e["event"] == "failed"}
    assert len(told) == 1
    assert told.pop().startswith(f"the store refuses {words[0]}: {answer_code(answer)}")
    assert "through this machine" not in result.err
    assert not [r for r in between.requests if r.method == "GET" and not r.of_bucket]
    uploads = other.client.list_multipart_uploads(Bucket=other.name)
    assert uploads.get("Uploads", []) == []


def test_two_accounts_of_one_store(
    s3pp: Run, moto: Store, moto_bucket: Bucket, recorder: MakeRecorder, profiles: WriteProfiles
) -> None:
    """The keys of the destination copy, as long as they may read the source; else both are used."""
    other = moto.bucket()
    moto_bucket.put("closed", b"1")
    moto_bucket.put("open", b"2")
    theirs = "source-access-key"

    def refuse(request: Request) -> Answer | None:
        if "x-amz-copy-source" in request.headers and request.path.endswith("/closed"):
            return error(403, "AccessDenied")
        return None

    between = recorder(moto, intercept=refuse)
    env = profiles(source=replace(moto, access_key=theirs, url=between.url))
    words = ["--source-profile", "source", moto_bucket.url, other.url]
    result = s3pp("copy", *words, store=between.store, env=env)
    assert (result.code, result.counts.done) == (0, 2)
    assert other.tree() == {"closed": b"1", "open": b"2"}
    for request in between.requests:
        of_source = request.path.strip("/").startswith(moto_bucket.name)
        key = request.headers["authorization"].partition("Credential=")[2].partition("/")[0]
        assert key == (theirs if of_source else moto.access_key), request.target


def test_the_sources_profile_goes_before_the_variable(
    s3pp: Run, moto: Store, moto_bucket: Bucket, recorder: MakeRecorder, profiles: WriteProfiles
) -> None:
    """A variable cannot say which side it means; a profile that is named for one side can."""
    moto_bucket.put("a", b"1")
    other, source, dest = moto.bucket(), recorder(moto), recorder(moto)
    env = profiles(source=source.store, dest=dest.store)
    keys = {"AWS_ACCESS_KEY_ID": moto.access_key, "AWS_SECRET_ACCESS_KEY": moto.secret_key}

    def copy(*words: str, variable: str) -> tuple[list[set[str]], set[str]]:
        more = env | keys | {"AWS_ENDPOINT_URL": variable, "AWS_DEFAULT_REGION": "us-west-1"}
        result = s3pp("copy", *words, moto_bucket.url, other.url, store=None, env=more)
        assert result.code == 0, result.err
        sides = [{r.path.split("/")[1] for r in each.requests} for each in (source, dest)]
        scopes = {r.headers["authorization"].split("/")[2] for r in source.requests}
        source.clear()
        dest.clear()
        return sides, scopes

    one_each = ([{moto_bucket.name}, {other.name}], {"us-east-1"})
    assert copy("--source-profile", "source", variable=dest.store.url) == one_each
    both = ("--source-profile", "source", "--profile", "dest")
    assert copy(*both, variable="http://127.0.0.1:9") == one_each


def test_a_source_that_is_wrong_is_named(
    s3pp: Run, moto: Store, moto_bucket: Bucket, recorder: MakeRecorder
) -> None:
    """Each side's own trouble, in one line, and nothing written."""
    moto_bucket.put("f", b"1")
    other, record = moto.bucket(), recorder(moto)
    for words, code, mention in [
        (
            ["--source-endpoint-url", "http://no-such-host.invalid"],
            3,
            "--source-endpoint-url http://no-such-host.invalid cannot be reached",
        ),
        (["--source-profile", "nobody"], 2, "s3pp: --source-profile: "),
    ]:
        line = ["--max-attempts", "2", *words, moto_bucket.url, other.url]
        result = s3pp("copy", *line, store=record.store, timeout=45)
        assert (mention, result.code, result.out) == (mention, code, "")
        assert mention in result.err
        assert len(result.err.splitlines()) == 1
    assert (record.puts, other.keys()) == (0, [])


def test_a_store_by_another_name_is_the_same_store(
    s3pp: Run, moto: Store, moto_bucket: Bucket, recorder: MakeRecorder
) -> None:
    """Onto itself is refused, and elsewhere the store copies by itself."""
    moto_bucket.put("p/f", b"1")
    here = moto.url.replace("127.0.0.1", "localhost")
    assert here != moto.url
    words = ["--source-endpoint-url", here, f"{moto_bucket.url}/p"]
    refused = s3pp("copy", *words, f"{moto_bucket.url}/p")
    assert (refused.code, refused.err.count("\n")) == (2, 1)
    assert "onto itself" in refused.err
    copied = s3pp("copy", *words, f"{moto_bucket.url}/q")
    assert (copied.code, copied.counts.done, "two stores" in copied.err) == (0, 1, False)
    assert moto_bucket.tree() == {"p/f": b"1", "q/f": b"1"}
