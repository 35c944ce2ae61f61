"""Access points as buckets: by their ARN, which has a host of its own, through every verb."""

from __future__ import annotations

import http.client
from dataclasses import replace
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

from commands import Run
from conftest import MakeRecorder, Tree
from stores.relay import Answer, Interceptor, Request
from stores.store import Bucket, Store
from trees import content

ARN = "arn:aws:s3:eu-west-1:123456789012:accesspoint/mine"
HOST = "mine-123456789012.localhost:9"
LARGE = ("--multipart-threshold", "8MiB", "--part-size", "5MiB")


def as_bucket(bucket: Bucket) -> Interceptor:
    """A proxy's interceptor: what is asked of the access point, ``bucket`` answers."""

    def forward(request: Request) -> Answer:
        url = urlsplit(request.target)
        path = f"/{bucket.name}{url.path}" if url.netloc == HOST else url.path
        store = urlsplit(bucket.store.url).netloc
        headers = request.headers | {"host": store}
        if source := headers.get("x-amz-copy-source"):
            headers["x-amz-copy-source"] = quote(
                unquote(source).replace(f"{ARN}/object/", f"{bucket.name}/")
            )
        connection = http.client.HTTPConnection(store, timeout=30)
        target = url._replace(scheme="", netloc="", path=path).geturl()
        connection.request(request.method, target, request.body, headers)
        response = connection.getresponse()
        return Answer(response.status, response.getheaders(), response.read())

    return forward


def test_an_access_point_by_its_arn(
    s3pp: Run, moto_bucket: Bucket, moto: Store, tree: Tree, recorder: MakeRecorder, tmp_path: Path
) -> None:
    proxy = recorder(moto, intercept=as_bucket(moto_bucket))
    settings = {
        "store": replace(moto, url="http://localhost:9"),
        "env": {"http_proxy": proxy.url},
    }
    src = tree({"f": b"1", "d/g ä": b"2", "large": content(9 << 20)})
    place = f"s3://{ARN}/p"

    assert s3pp("put", *LARGE, src, place, **settings).code == 0
    assert moto_bucket.tree() == {f"p/{name}": body for name, body in tree.read(src).items()}
    assert {r.headers["host"] for r in proxy.requests} == {HOST}
    scopes = {r.headers["authorization"].partition("Credential=")[2] for r in proxy.requests}
    assert all(scope.split("/")[2:4] == ["eu-west-1", "s3"] for scope in scopes)

    assert s3pp("list", place, **settings).out.count("\n") == 3
    assert s3pp("get", *LARGE, place, tmp_path / "back", **settings).code == 0
    assert tree.read(tmp_path / "back") == tree.read(src)

    proxy.clear()
    other = moto.bucket()
    result = s3pp("copy", *LARGE, place, other.url, **settings)
    assert (result.code, other.tree()) == (0, tree.read(src))
    assert "through this machine" not in result.err
    named = {r.headers.get("x-amz-copy-source") for r in proxy.requests} - {None}
    source = f"{quote(ARN, '/')}/object/p/"
    assert named == {source + name for name in ("f", "d/g%20%C3%A4", "large")}


def test_what_is_no_access_point_of_a_region_is_refused_by_name(s3pp: Run, tmp_path: Path) -> None:
    for bucket, why in (
        ("arn:aws:s3::123456789012:accesspoint/mfzwi23gnjvgw.mrap", "4A"),
        ("arn:aws:s3:::bucket", "neither a bucket name"),
    ):
        result = s3pp("get", f"s3://{bucket}/p", tmp_path / "d", store=None)
        assert (result.code, result.err.count("\n")) == (2, 1)
        assert why in result.err
    words = ["put", "--sandbox", tmp_path, f"s3://{ARN}/p"]
    result = s3pp(*words, store=None)
    assert (result.code, result.err.count("\n")) == (2, 1)
    assert "--sandbox" in result.err
