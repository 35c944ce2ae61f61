"""Credentials that run out while a bucket is listed."""

from __future__ import annotations

from pathlib import Path

import pytest

from commands import Run
from conftest import MakeRecorder
from stores.relay import Answer, Request, error
from stores.store import Bucket, Store


def credentials(secret: str) -> str:
    return f"[default]\naws_access_key_id = {secret}\naws_secret_access_key = {secret * 4}\n"


@pytest.mark.parametrize("renewed", [True, False])
def test_keys_that_expire_are_renewed_once(
    s3pp: Run,
    moto_bucket: Bucket,
    moto: Store,
    recorder: MakeRecorder,
    tmp_path: Path,
    renewed: bool,
) -> None:
    moto_bucket.fill({f"{at:05}": b"" for at in range(3210)})
    path = tmp_path / "credentials"
    path.write_text(credentials("first"))

    def expire(request: Request) -> Answer | None:
        if "first" in request.headers["authorization"] and "max-keys=1" not in request.target:
            path.write_text(credentials("second" if renewed else "first"))
            return error(400, "ExpiredToken")
        return None

    record = recorder(moto, intercept=expire)
    env = {
        "AWS_ACCESS_KEY_ID": None,
        "AWS_SECRET_ACCESS_KEY": None,
        "AWS_SHARED_CREDENTIALS_FILE": str(path),
    }
    words = ["-q", "--summarize", "--listers", "4", moto_bucket.url]
    result = s3pp("list", *words, store=record.store, env=env)
    if renewed:
        assert (result.code, result.err) == (0, "")
        assert " in 3210 objects " in result.out
    else:
        assert (result.code, result.out) == (3, "")
        assert "credentials" in result.err
        assert result.err.count("\n") == 1
