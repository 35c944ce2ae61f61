"""Ways to the store, for reading: profiles, no credentials, https, addressing, regions, secrets."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from commands import Run
from conftest import MakeRecorder, Tree, WriteProfiles
from stores.certificates import Authority
from stores.relay import Answer, Request, error
from stores.store import Bucket, Store

NO_KEYS = {"AWS_ACCESS_KEY_ID": None, "AWS_SECRET_ACCESS_KEY": None}


def test_a_profile(
    s3pp: Run, bucket: Bucket, store: Store, tree: Tree, tmp_path: Path, profiles: WriteProfiles
) -> None:
    bucket.put("f", b"1")
    env = NO_KEYS | profiles(work=store)
    words = ["--profile", "work", bucket.url, tmp_path / "out"]
    result = s3pp("get", *words, store=None, env=env)
    assert (result.code, result.err) == (0, "")
    assert tree.read(tmp_path / "out") == {"f": b"1"}


def test_without_credentials(
    s3pp: Run, moto_bucket: Bucket, moto: Store, tree: Tree, recorder: MakeRecorder, tmp_path: Path
) -> None:
    moto_bucket.put("d/f", b"1", ACL="public-read")
    record = recorder(moto)
    words = ["--no-sign-request", f"{moto_bucket.url}/d", tmp_path / "out"]
    result = s3pp("get", *words, store=record.store, env=NO_KEYS)
    assert (result.code, tree.read(tmp_path / "out")) == (0, {"f": b"1"})
    assert record.requests
    assert not [r for r in record.requests if "authorization" in r.headers]


def test_one_object_of_a_bucket_that_may_not_be_listed(
    s3pp: Run, moto_bucket: Bucket, moto: Store, tree: Tree, recorder: MakeRecorder, tmp_path: Path
) -> None:
    """As most public data is; a prefix there cannot be read, and that is said."""

    def refuse(request: Request) -> Answer | None:
        return error(403, "AccessDenied") if request.of_bucket else None

    moto_bucket.put("d/f", b"1")
    between = recorder(moto, intercept=refuse)
    result = s3pp("get", f"{moto_bucket.url}/d/f", "out/", store=between.store)
    assert (result.code, result.err, tree.read(tmp_path / "out")) == (0, "", {"f": b"1"})
    below = s3pp("get", f"{moto_bucket.url}/d", tmp_path / "no", store=between.store)
    assert below.code in (2, 3)
    assert "AccessDenied" in below.err
    assert len(below.err.splitlines()) == 1
    assert not (tmp_path / "no").exists()


def test_one_object_whose_head_is_refused(
    s3pp: Run, moto_bucket: Bucket, moto: Store, tree: Tree, recorder: MakeRecorder, tmp_path: Path
) -> None:
    """It exists, as the listing shows; a GET decides whether it can be read."""
    moto_bucket.put("t/a.txt", b"1")
    source, other = f"{moto_bucket.url}/t/a.txt", moto.bucket()

    def refuse(request: Request) -> Answer | None:
        return Answer(403) if request.method == "HEAD" else None

    between = recorder(moto, intercept=refuse)
    listed = s3pp("list", source, store=between.store)
    assert (listed.code, listed.out.count("t/a.txt")) == (0, 1), listed.err
    got = s3pp("get", source, "out/", store=between.store)
    assert (got.code, tree.read(tmp_path / "out")) == (0, {"a.txt": b"1"}), got.err
    copied = s3pp("copy", source, other.url, store=between.store)
    assert (copied.code, other.tree()) == (0, {"a.txt": b"1"}), copied.err


def test_one_object_that_may_only_be_listed(
    s3pp: Run, moto_bucket: Bucket, moto: Store, recorder: MakeRecorder, tmp_path: Path
) -> None:
    moto_bucket.put("t/a.txt", b"1")
    source = f"{moto_bucket.url}/t/a.txt"
    between = recorder(
        moto, intercept=lambda r: None if r.of_bucket else error(403, "AccessDenied")
    )
    listed = s3pp("list", source, store=between.store)
    assert (listed.code, listed.out.count("t/a.txt")) == (0, 1), listed.err
    got = s3pp("get", "--json", source, tmp_path / "out", store=between.store)
    assert (got.code, got.events[-1]["failed"]) == (3, 1), got.err
    assert "AccessDenied" in got.err
    closed = recorder(moto, intercept=lambda _: error(403, "AccessDenied"))
    refused = s3pp("list", source, store=closed.store)
    assert refused.code == 3
    assert refused.err.startswith(f"s3pp: access denied: HEAD {source} (403), and it cannot")


def test_a_key_that_is_refused_fails_alone(
    s3pp: Run, moto_bucket: Bucket, moto: Store, tree: Tree, recorder: MakeRecorder, tmp_path: Path
) -> None:
    for key in ("a", "closed", "gone", "z"):
        moto_bucket.put(key, b"1")

    def refuse(request: Request) -> Answer | None:
        if request.path.endswith("/closed"):
            return error(403, "AccessDenied")
        return error(404, "NoSuchKey") if request.path.endswith("/gone") else None

    between = recorder(moto, intercept=refuse)
    words = ["--json", moto_bucket.url, tmp_path / "out"]
    result = s3pp("get", *words, store=between.store)
    kinds = {e["key"]: e["kind"] for e in result.events if e["event"] == "failed"}
    assert (result.code, kinds) == (1, {"closed": "access", "gone": "not-found"})
    assert tree.read(tmp_path / "out") == {"a": b"1", "z": b"1"}


def test_https_with_a_private_authority(
    s3pp: Run,
    moto_bucket: Bucket,
    moto: Store,
    tree: Tree,
    recorder: MakeRecorder,
    authority: Authority,
    tmp_path: Path,
) -> None:
    tls = recorder(moto, tls=authority.context)
    objects = {"f": b"1", "d/g": b"2", "empty": b""}
    for key, body in objects.items():
        moto_bucket.put(key, body)
    words = ["--ca-bundle", authority.ca_bundle, moto_bucket.url, tmp_path / "out"]
    trusted = s3pp("get", *words, store=tls.store)
    assert (trusted.code, trusted.err) == (0, "")
    assert tree.read(tmp_path / "out") == objects
    before = len(tls.requests)
    words = ["--max-attempts", "2", moto_bucket.url, tmp_path / "no"]
    refused = s3pp("get", *words, store=tls.store)
    assert refused.code in (2, 3)
    assert "--ca-bundle" in refused.err
    assert (len(tls.requests), (tmp_path / "no").exists()) == (before, False)


def test_virtual_addressing_and_requester_pays(
    s3pp: Run, moto_bucket: Bucket, moto: Store, recorder: MakeRecorder, tmp_path: Path
) -> None:
    """The bucket is in the Host, and nothing of it in the path."""
    between = recorder(moto)
    # <bucket>.localhost resolves nowhere on some machines; a proxy needs no resolving.
    s3pp(
        "get", "--addressing", "virtual", "--max-attempts", "1", "--request-payer",
        moto_bucket.url, tmp_path / "out",
        store=replace(moto, url=f"http://localhost:{between.port}"),
        env={"http_proxy": between.url}, timeout=45,
    )  # fmt: skip
    assert between.requests
    for request in between.requests:
        assert request.headers["host"].startswith(f"{moto_bucket.name}.localhost")
        assert f"/{moto_bucket.name}" not in request.path


def test_requester_pays_is_said_everywhere(
    s3pp: Run, moto_bucket: Bucket, moto: Store, recorder: MakeRecorder, tmp_path: Path
) -> None:
    moto_bucket.put("d/f", b"1")
    moto_bucket.put_multipart("parts", b"1")
    record = recorder(moto)
    for source in ("", "/d/f"):  # the second is asked for by HEAD
        words = ["--request-payer", "--gunzip", moto_bucket.url + source, tmp_path / "out"]
        assert s3pp("get", *words, store=record.store).code == 0
    assert {r.method for r in record.requests} == {"GET", "HEAD"}
    assert {r.headers.get("x-amz-request-payer") for r in record.requests} == {"requester"}


def test_a_bucket_in_another_region_is_found(
    s3pp: Run, moto_bucket: Bucket, moto: Store, tree: Tree, recorder: MakeRecorder, tmp_path: Path
) -> None:
    def redirect(request: Request) -> Answer | None:
        if "/eu-west-1/s3/" in request.headers["authorization"]:
            return None
        region = ("x-amz-bucket-region", "eu-west-1")
        return error(301, "PermanentRedirect", region, message="use the right endpoint")

    moto_bucket.put("f", b"1")
    between = recorder(moto, intercept=redirect)
    result = s3pp("get", moto_bucket.url, tmp_path / "out", store=between.store)
    assert (result.code, result.err, tree.read(tmp_path / "out")) == (0, "", {"f": b"1"})


def test_redirects_to_another_host_are_not_followed_with_credentials(
    s3pp: Run, moto_bucket: Bucket, moto: Store, tree: Tree, recorder: MakeRecorder, tmp_path: Path
) -> None:
    elsewhere = recorder(moto)

    def redirect(request: Request) -> Answer | None:
        if request.of_bucket:
            return None
        return error(307, "TemporaryRedirect", ("Location", elsewhere.url + request.target))

    moto_bucket.put("f", b"1")
    between = recorder(moto, intercept=redirect)
    words = ["--max-attempts", "2", moto_bucket.url, tmp_path / "out"]
    result = s3pp("get", *words, store=between.store, timeout=45)
    assert result.code in (1, 3)
    assert not [r for r in elsewhere.requests if "authorization" in r.headers]
    assert tree.read(tmp_path / "out") == {}


def test_secrets_are_signed_with_and_never_shown(
    s3pp: Run, moto_bucket: Bucket, moto: Store, recorder: MakeRecorder, tmp_path: Path
) -> None:
    moto_bucket.put("f", b"1")
    token = "session-token-that-must-stay-secret/+=="
    record = recorder(moto)
    result = s3pp(
        "get", "-vvv", "--log-file", tmp_path / "log", "--journal", tmp_path / "journal",
        moto_bucket.url, tmp_path / "out",
        store=record.store, env={"AWS_SESSION_TOKEN": token},
    )  # fmt: skip
    assert result.code == 0
    for request in record.requests:
        assert request.headers["x-amz-security-token"] == token
        signed = request.headers["authorization"].partition("SignedHeaders=")[2].split(",")[0]
        sent = {name for name in request.headers if name.startswith("x-amz-")}
        assert sent <= set(signed.split(";"))
    told = result.out + result.err + (tmp_path / "log").read_text()
    told += (tmp_path / "journal").read_text()
    assert token not in told
    assert moto.secret_key not in told
    assert "Signature=" not in told
