"""Ways to the store: credentials, tokens, https, proxies, regions, addressing."""

from __future__ import annotations

import base64
import hashlib
import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from commands import Result, Run
from conftest import MakeRecorder, Tree
from stores.certificates import Authority
from stores.ports import free_port
from stores.relay import Answer, Interceptor, Request, error
from stores.store import Bucket, Store

NO_KEYS = {"AWS_ACCESS_KEY_ID": None, "AWS_SECRET_ACCESS_KEY": None}


def signed_headers(request: Request) -> list[str]:
    """What the signature covers."""
    return request.headers["authorization"].partition("SignedHeaders=")[2].split(",")[0].split(";")


def scope(request: Request) -> list[str]:
    """(access key, day, region, service, terminator) of the signature."""
    return request.headers["authorization"].partition("Credential=")[2].split(",")[0].split("/")


def test_a_profile(s3pp: Run, bucket: Bucket, store: Store, tree: Tree, tmp_path: Path) -> None:
    (tmp_path / "credentials").write_text(
        f"[work]\naws_access_key_id = {store.access_key}\n"
        f"aws_secret_access_key = {store.secret_key}\n"
    )
    (tmp_path / "config").write_text("[profile work]\nregion = us-east-1\n")
    files = {
        "AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "credentials"),
        "AWS_CONFIG_FILE": str(tmp_path / "config"),
    }
    src = tree({"f": b"1"})
    result = s3pp("put", "--profile", "work", src, bucket.url, env=NO_KEYS | files)
    assert (result.code, bucket.keys()) == (0, ["f"])
    chosen = s3pp("put", src, f"{bucket.url}/p", env=NO_KEYS | files | {"AWS_PROFILE": "work"})
    assert (chosen.code, bucket.keys()) == (0, ["f", "p/f"])


def test_a_credential_process(
    s3pp: Run, bucket: Bucket, store: Store, tree: Tree, tmp_path: Path
) -> None:
    answer = {"Version": 1, "AccessKeyId": store.access_key, "SecretAccessKey": store.secret_key}
    (tmp_path / "answer").write_text(json.dumps(answer))
    (tmp_path / "say.py").write_text(f"print(open({str(tmp_path / 'answer')!r}).read())\n")
    (tmp_path / "config").write_text(
        f"[default]\ncredential_process = {sys.executable} {tmp_path / 'say.py'}\n"
    )
    env = NO_KEYS | {"AWS_CONFIG_FILE": str(tmp_path / "config")}
    assert s3pp("put", tree({"f": b"1"}), bucket.url, env=env).code == 0
    assert bucket.tree() == {"f": b"1"}


def test_a_session_token_is_sent_and_signed_and_never_shown(
    s3pp: Run, moto_bucket: Bucket, moto: Store, tree: Tree, recorder: MakeRecorder, tmp_path: Path
) -> None:
    token = "session-token-that-must-stay-secret/+=="
    record = recorder(moto)
    result = s3pp(
        "put", "-vvv", "--log-file", tmp_path / "log", "--journal", tmp_path / "journal",
        tree({"f": b"1"}), moto_bucket.url,
        store=record.store, env={"AWS_SESSION_TOKEN": token},
    )  # fmt: skip
    assert result.code == 0
    for request in record.requests:
        assert request.headers["x-amz-security-token"] == token
        assert "x-amz-security-token" in signed_headers(request)
    told = result.out + result.err + (tmp_path / "log").read_text()
    told += (tmp_path / "journal").read_text()
    assert token not in told
    assert moto.secret_key not in told
    assert "Signature=" not in told


def test_the_signature_covers_what_matters(
    s3pp: Run, moto_bucket: Bucket, moto: Store, tree: Tree, recorder: MakeRecorder
) -> None:
    record = recorder(moto)
    words = ["--acl", "private", "--metadata", "a=b"]
    assert s3pp("put", *words, tree({"f": b"1"}), moto_bucket.url, store=record.store).code == 0
    (put,) = [r for r in record.requests if r.method == "PUT"]
    covered = signed_headers(put)
    needed = {"host", "x-amz-date", "x-amz-content-sha256", "x-amz-acl", "x-amz-meta-a"}
    assert needed <= set(covered)
    assert {name for name in put.headers if name.startswith("x-amz-")} <= set(covered)
    assert covered == sorted(covered)
    assert scope(put)[2:] == ["us-east-1", "s3", "aws4_request"]
    assert "expect" not in put.headers
    assert "transfer-encoding" not in put.headers


def test_https_with_a_private_authority(
    s3pp: Run,
    bucket: Bucket,
    store: Store,
    tree: Tree,
    recorder: MakeRecorder,
    authority: Authority,
) -> None:
    tls = recorder(store, tls=authority.context)
    src = tree({"f": b"1", "d/g": b"2", "empty": b""})
    trusted = s3pp("put", "--ca-bundle", authority.ca_bundle, src, bucket.url, store=tls.store)
    assert (trusted.code, trusted.err) == (0, "")
    assert bucket.tree() == tree.read(src)
    put = next(r for r in tls.requests if r.method == "PUT")
    assert put.headers["x-amz-content-sha256"] == "UNSIGNED-PAYLOAD"
    by_env = s3pp(
        "put", src, f"{bucket.url}/e", store=tls.store, env={"AWS_CA_BUNDLE": authority.ca_bundle}
    )
    assert (by_env.code, by_env.counts.done) == (0, 3)
    before = len(tls.requests)
    refused = s3pp(
        "put", "--max-attempts", "2", src, f"{bucket.url}/p", store=tls.store, timeout=30
    )
    assert refused.code in (2, 3)
    assert "--ca-bundle" in refused.err
    assert len(refused.err.splitlines()) == 1
    assert len(tls.requests) == before
    careless = s3pp("put", "--no-verify-ssl", src, f"{bucket.url}/p", store=tls.store)
    assert (careless.code, careless.counts.done) == (0, 3)
    assert "Warning" not in careless.err


def test_through_an_http_proxy(
    s3pp: Run, bucket: Bucket, store: Store, tree: Tree, recorder: MakeRecorder
) -> None:
    proxy = recorder(store)
    src = tree({"f": b"1", "d/g ä": b"2"})
    result = s3pp("put", src, bucket.url, env={"http_proxy": proxy.url})
    assert (result.code, result.err) == (0, "")
    assert bucket.tree() == tree.read(src)
    puts = [r.target for r in proxy.requests if r.method == "PUT"]
    assert len(puts) == 2
    assert all(target.startswith(store.url) for target in puts)
    proxy.clear()
    env = {"http_proxy": proxy.url, "no_proxy": "127.0.0.1"}
    assert s3pp("put", src, f"{bucket.url}/p", env=env).code == 0
    assert proxy.requests == []


def test_the_probe_and_the_data_go_by_one_rule(
    s3pp: Run, moto_bucket: Bucket, moto: Store, tree: Tree, recorder: MakeRecorder
) -> None:
    """boto3 and libcurl each read some of these variables only, and in other ways."""
    proxy = recorder(moto)
    src, port = tree({"f": b"1"}), int(moto.url.rpartition(":")[2])
    others = f"127.0.0.1:{port - 1},10.0.0.0/8"
    for env in ({"HTTP_PROXY": proxy.url, "NO_PROXY": others}, {"ALL_PROXY": proxy.url}):
        assert s3pp("put", "--mode", "stupid", src, moto_bucket.url, env=env).code == 0
        assert [r.method for r in proxy.requests] == ["GET", "PUT"], env
        proxy.clear()
    for exempt in (f"127.0.0.1:{port}", "10.0.0.0/8 127.0.0.0/8"):
        env = {"HTTP_PROXY": proxy.url, "NO_PROXY": exempt}
        assert s3pp("put", src, moto_bucket.url, env=env).code == 0
        assert proxy.requests == [], exempt


def test_a_proxy_is_named_without_its_password(
    s3pp: Run, moto: Store, tree: Tree, recorder: MakeRecorder
) -> None:
    """One that cannot be used ends the run before anything is sent; a 502 may be its own."""
    bucket, src = moto.bucket(), tree({"f": b"1"})
    result = s3pp("put", src, bucket.url, env={"http_proxy": "http://us er:p@sswd@127.0.0.1:9"})
    assert (result.code, result.out, result.err.count("\n")) == (2, "", 1)
    assert result.err.startswith("s3pp: http_proxy is not of the form")
    assert "sswd" not in result.err
    broken = recorder(moto, intercept=lambda _: Answer(502, [], b"no"))
    at = broken.url.removeprefix("http://")
    words = ["--max-attempts=1", src, bucket.url]
    result = s3pp("put", *words, env={"http_proxy": f"http://me:p%40sswd@{at}"})
    assert (result.code, result.out) == (3, "")
    assert f"through the proxy http://{at}: HTTP 502 Bad Gateway" in result.err
    assert "sswd" not in result.err
    broken = recorder(
        moto, intercept=lambda request: Answer(502, [], b"") if request.method == "PUT" else None
    )
    at = broken.url.removeprefix("http://")
    result = s3pp("put", *words, env={"http_proxy": f"http://me:p%40sswd@{at}"})
    assert result.code == 1
    assert f"HTTP 502 Bad Gateway without an S3 error body: from {moto.url} through" in result.err
    assert f"the proxy http://{at}" in result.err
    assert "sswd" not in result.err


def refuse_others(password: str, after: int = 0) -> Interceptor:
    """A proxy's interceptor: who comes without ``password`` is refused, after so many requests."""
    expected = "Basic " + base64.b64encode(f"me:{password}".encode()).decode()
    seen = []

    def refuse(request: Request) -> Answer | None:
        seen.append(request)
        if request.headers.get("proxy-authorization") == expected or len(seen) <= after:
            return None
        return Answer(407, [("Proxy-Authenticate", 'Basic realm="p"')], b"who are you?")

    return refuse


@pytest.mark.parametrize("after", [0, 1], ids=["at the start", "later"])
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_proxy_that_refuses_us_ends_the_run_at_once(
    s3pp: Run,
    moto_bucket: Bucket,
    moto: Store,
    tree: Tree,
    recorder: MakeRecorder,
    authority: Authority,
    scheme: str,
    after: int,
) -> None:
    tls = recorder(moto, tls=authority.context) if scheme == "https" else None
    proxy = recorder(moto, intercept=refuse_others("right-password", after))
    src = tree({f"f{n}": b"1" for n in range(100)})
    words = ["--ca-bundle", authority.ca_bundle, "-c", "8", src, moto_bucket.url]
    store = tls.store if tls else moto

    def run(password: str, *more: str) -> Result:
        url = proxy.url.replace("//", f"//me:{password}@")
        env = {f"{scheme}_proxy": url}
        return s3pp("put", *more, *words, store=store, env=env, timeout=20)

    result = run("wrong-password")
    assert (result.code, moto_bucket.keys()) == (3, [])
    last = result.err.splitlines()[-1]
    assert "proxy" in last
    assert "407" in last
    assert f"{scheme}_proxy" in last
    assert "wrong-password" not in result.err
    assert len(proxy.requests) <= 2 + after * 40  # without botocore, and with it
    assert run("right-password").code == 0
    assert len(moto_bucket.keys()) == 100


def test_a_proxy_that_is_of_no_use_is_named(s3pp: Run, moto_bucket: Bucket, tree: Tree) -> None:
    env = {"HTTP_PROXY": f"http://me:hidden-word@127.0.0.1:{free_port()}"}
    words = ["--max-attempts", "1", tree({"f": b"1"}), moto_bucket.url]
    result = s3pp("put", *words, env=env)
    assert (result.code, result.err.count("\n")) == (3, 1)
    proxy = f"the proxy {env['HTTP_PROXY'].replace('me:hidden-word@', '')} of HTTP_PROXY"
    assert f"{proxy} cannot be reached: connection refused" in result.err
    env = {"ALL_PROXY": "socks5://me:hidden-word@127.0.0.1:1"}
    result = s3pp("put", tree({"f": b"1"}), moto_bucket.url, env=env)
    assert (result.code, result.err.count("\n")) == (2, 1)
    assert "ALL_PROXY" in result.err
    assert "hidden-word" not in result.err


def test_https_through_a_proxy(
    s3pp: Run,
    moto_bucket: Bucket,
    moto: Store,
    tree: Tree,
    recorder: MakeRecorder,
    authority: Authority,
) -> None:
    tls, proxy = recorder(moto, tls=authority.context), recorder(moto)
    words = ["--ca-bundle", authority.ca_bundle, tree({"f": b"1"}), moto_bucket.url]
    result = s3pp("put", *words, store=tls.store, env={"https_proxy": proxy.url})
    assert (result.code, moto_bucket.keys()) == (0, ["f"])
    assert proxy.requests
    assert {r.method for r in proxy.requests} == {"CONNECT"}


@pytest.mark.parametrize("named", [True, False], ids=["named", "unnamed"])
def test_a_bucket_in_another_region_is_found(
    s3pp: Run, moto_bucket: Bucket, moto: Store, tree: Tree, recorder: MakeRecorder, named: bool
) -> None:
    """Whether or not the store names the region in its good answers too, as S3 itself does."""
    region = ("x-amz-bucket-region", "eu-west-1")

    def redirect(request: Request) -> Answer | None:
        if scope(request)[2] == "eu-west-1":
            return None
        return error(301, "PermanentRedirect", region, message="use the right endpoint")

    def name_it(request: Request, answer: Answer) -> Answer:
        if named and region not in answer.headers:
            return replace(answer, headers=[*answer.headers, region])
        return answer

    between = recorder(moto, intercept=redirect, rewrite=name_it)
    src = tree({"f": b"1", "g": b"2"})
    result = s3pp("put", src, moto_bucket.url, store=between.store)
    assert (result.code, result.err) == (0, "")
    assert moto_bucket.keys() == ["f", "g"]
    between.clear()
    chosen = s3pp("put", "--region", "eu-west-1", src, f"{moto_bucket.url}/p", store=between.store)
    assert chosen.code == 0
    assert {scope(r)[2] for r in between.requests} == {"eu-west-1"}


def test_a_region_refused_by_the_signature_is_learnt(
    s3pp: Run, moto_bucket: Bucket, moto: Store, tree: Tree, recorder: MakeRecorder
) -> None:
    """S3 proper answers a wrong region on a regional endpoint with 400 and the right one."""

    def refuse(request: Request) -> Answer | None:
        if scope(request)[2] == "eu-west-1":
            return None
        answer = error(400, "AuthorizationHeaderMalformed", ("x-amz-bucket-region", "eu-west-1"))
        body = answer.body.replace(b"</Error>", b"<Region>eu-west-1</Region></Error>")
        return replace(answer, body=body)

    between = recorder(moto, intercept=refuse)
    result = s3pp("put", tree({"f": b"1"}), moto_bucket.url, store=between.store)
    assert (result.code, moto_bucket.keys()) == (0, ["f"])


def test_redirects_to_another_host_are_not_followed_with_credentials(
    s3pp: Run, moto_bucket: Bucket, moto: Store, tree: Tree, recorder: MakeRecorder
) -> None:
    elsewhere = recorder(moto)

    def redirect(request: Request) -> Answer | None:
        if request.method == "PUT":
            return error(307, "TemporaryRedirect", ("Location", elsewhere.url + request.target))
        return None

    between = recorder(moto, intercept=redirect)
    words = ["--max-attempts", "2", tree({"f": b"1"}), moto_bucket.url]
    result = s3pp("put", *words, store=between.store, timeout=30)
    assert result.code in (1, 3)
    assert not [r for r in elsewhere.requests if "authorization" in r.headers]
    assert moto_bucket.keys() == []


def test_virtual_addressing(s3pp: Run, moto: Store, tree: Tree, recorder: MakeRecorder) -> None:
    """The bucket is in the Host, and nothing of it in the path."""
    bucket = moto.bucket()
    seen = []

    def to_path_style(request: Request) -> None:
        seen.append(request)

    between = recorder(moto, intercept=to_path_style)
    store = replace(moto, url=f"http://localhost:{between.port}")
    proxied = {"http_proxy": between.url}
    # <bucket>.localhost resolves nowhere on some machines; a proxy needs no resolving.
    s3pp(
        "put", "--addressing", "virtual", "--max-attempts", "1", tree({"f": b"1"}), bucket.url,
        store=store, env=proxied, timeout=30,
    )  # fmt: skip
    assert seen
    assert seen[0].headers["host"].startswith(f"{bucket.name}.localhost")
    assert f"/{bucket.name}" not in seen[0].path


def s3_settings(tmp_path: Path, *lines: str) -> dict[str, str]:
    """A configuration whose default profile has these settings of S3."""
    text = "".join(f"    {line}\n" for line in lines)
    (tmp_path / "config").write_text(f"[default]\ns3 =\n{text}")
    return {"AWS_CONFIG_FILE": str(tmp_path / "config")}


def test_the_profiles_addressing_style_is_obeyed(
    s3pp: Run, moto: Store, tree: Tree, recorder: MakeRecorder, tmp_path: Path
) -> None:
    bucket = moto.bucket()
    between = recorder(moto)
    store = replace(moto, url=f"http://localhost:{between.port}")
    env = s3_settings(tmp_path, "addressing_style = virtual") | {"http_proxy": between.url}
    words = ["--max-attempts", "1", tree({"f": b"1"}), bucket.url]
    s3pp("put", *words, store=store, env=env, timeout=30)
    assert between.requests[0].headers["host"].startswith(f"{bucket.name}.localhost")
    between.clear()
    assert s3pp("put", "--addressing", "path", *words, store=store, env=env).code == 0
    assert {r.headers["host"] for r in between.requests} == {f"localhost:{between.port}"}


def test_bodies_are_signed_over_https_where_the_profile_wants_it(
    s3pp: Run,
    moto_bucket: Bucket,
    moto: Store,
    tree: Tree,
    recorder: MakeRecorder,
    authority: Authority,
    tmp_path: Path,
) -> None:
    """A policy may deny UNSIGNED-PAYLOAD."""
    tls = recorder(moto, tls=authority.context)
    env = s3_settings(tmp_path, "payload_signing_enabled = true")
    words = ["--ca-bundle", authority.ca_bundle, tree({"f": b"1"}), moto_bucket.url]
    assert s3pp("put", *words, store=tls.store, env=env).code == 0
    (put,) = [r for r in tls.requests if r.method == "PUT"]
    assert put.headers["x-amz-content-sha256"] == hashlib.sha256(b"1").hexdigest()


def test_an_endpoint_under_a_path(
    s3pp: Run, moto_bucket: Bucket, moto: Store, tree: Tree, recorder: MakeRecorder, tmp_path: Path
) -> None:
    """As Supabase has it; named by the option as well as by the environment."""
    under = "/storage/v1/s3"
    between = recorder(moto, under=under)
    src = tree({"f": b"1", "d/g ä": b"2"})
    assert s3pp("put", src, moto_bucket.url, store=between.store).code == 0
    assert moto_bucket.tree() == tree.read(src)
    assert all(r.path.startswith(f"{under}/{moto_bucket.name}") for r in between.requests)
    env = {"AWS_ENDPOINT_URL_S3": between.store.url + "/"}
    keys = {
        "AWS_ACCESS_KEY_ID": moto.access_key,
        "AWS_SECRET_ACCESS_KEY": moto.secret_key,
    }
    words = [moto_bucket.url, tmp_path / "back"]
    assert s3pp("get", *words, store=None, env=env | keys).code == 0
    assert tree.read(tmp_path / "back") == tree.read(src)


def test_variables_that_are_empty_are_as_if_unset(
    s3pp: Run, bucket: Bucket, store: Store, tree: Tree
) -> None:
    """A CI system sets what it has no value for."""
    names = ("PROFILE", "SESSION_TOKEN", "REGION", "DEFAULT_REGION", "ENDPOINT_URL", "CA_BUNDLE")
    env = {f"AWS_{name}": "" for name in (*names, "ENDPOINT_URL_S3", "USE_FIPS_ENDPOINT")}
    result = s3pp("put", tree({"f": b"1"}), bucket.url, env=env)
    assert (result.code, result.err, bucket.tree()) == (0, "", {"f": b"1"})


def test_an_endpoint_without_a_scheme(
    s3pp: Run, moto_bucket: Bucket, moto: Store, tree: Tree
) -> None:
    bare = replace(moto, url=moto.url.removeprefix("http://"))
    result = s3pp("put", "--insecure", tree({"f": b"1"}), moto_bucket.url, store=bare)
    assert (result.code, moto_bucket.keys()) == (0, ["f"])


def test_settings_from_the_users_configuration(
    s3pp: Run, moto_bucket: Bucket, moto: Store, tree: Tree, recorder: MakeRecorder, tmp_path: Path
) -> None:
    """Endpoint and region come from the profile where the command line names none."""
    record = recorder(moto)
    (tmp_path / "config").write_text(
        f"[default]\nregion = eu-central-1\nendpoint_url = {record.url}\n"
        f"aws_access_key_id = key\naws_secret_access_key = secret\n"
    )
    env = {"AWS_CONFIG_FILE": str(tmp_path / "config")}
    result = s3pp("put", tree({"f": b"1"}), moto_bucket.url, store=None, env=env)
    assert (result.code, moto_bucket.keys()) == (0, ["f"])
    assert {scope(r)[0] for r in record.requests} == {"key"}
    assert {scope(r)[2] for r in record.requests} == {"eu-central-1"}


def test_a_wrong_clock_is_corrected(
    s3pp: Run, moto_bucket: Bucket, moto: Store, tree: Tree, recorder: MakeRecorder
) -> None:
    """Until a request carries the store's date, the store says RequestTimeTooSkewed."""
    theirs = "Tue, 01 Jan 2030 12:00:00 GMT"

    def skewed(request: Request) -> Answer | None:
        if request.method == "PUT" and not request.headers["x-amz-date"].startswith("20300101"):
            return error(403, "RequestTimeTooSkewed", ("Date", theirs))
        return None

    between = recorder(moto, intercept=skewed)
    src = tree({f"{n}": n for n in range(20)})
    result = s3pp("put", src, moto_bucket.url, store=between.store)
    assert (result.code, result.counts.done) == (0, 20)
    refused = [r for r in between.requests if r.method == "PUT"]
    assert len(refused) <= 40


def test_requester_pays_is_said_everywhere(
    s3pp: Run, moto_bucket: Bucket, moto: Store, tree: Tree, recorder: MakeRecorder
) -> None:
    record = recorder(moto)
    src = tree({"f": b"1"})
    result = s3pp("put", "--request-payer", src, moto_bucket.url, store=record.store)
    assert result.code == 0
    assert {r.headers.get("x-amz-request-payer") for r in record.requests} == {"requester"}
