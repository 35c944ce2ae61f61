"""``--dask``: workers on a cluster do what those of one machine do."""

from __future__ import annotations

from pathlib import Path

import pytest

from commands import Run
from conftest import Tree
from stores.store import Bucket, Store
from trees import read_tree

pytestmark = pytest.mark.timeout(180)


def test_a_tree_goes_there_and_back_on_a_cluster_of_this_machine(
    s3pp: Run, moto: Store, moto_bucket: Bucket, tree: Tree, tmp_path: Path
) -> None:
    files = {f"d{n % 3}/f{n}": b"%d" % n * n for n in range(60)} | {"large": b"x" * 12_000_000}
    src, words = tree(files), ("--dask=local:2", "--part-size=5MiB", "--multipart-threshold=5MiB")
    put = s3pp("put", *words, src, f"{moto_bucket.url}/p")
    assert (put.code, put.counts.done) == (0, 61), put
    assert moto_bucket.tree() == {f"p/{name}": body for name, body in files.items()}
    again = s3pp("put", *words, src, f"{moto_bucket.url}/p")
    assert (again.code, again.counts.skipped) == (0, 61), again
    out = tmp_path / "out"
    get = s3pp("get", *words, f"{moto_bucket.url}/p", out)
    assert (get.code, get.counts.done) == (0, 61), get
    assert read_tree(out) == files
    remove = s3pp("remove", "--dask=local:1", f"{moto_bucket.url}/p/")
    assert (remove.code, moto_bucket.tree()) == (0, {}), remove


def test_settings_of_tls_that_are_missing_are_named(
    s3pp: Run, moto_bucket: Bucket, tree: Tree, tmp_path: Path
) -> None:
    src, words = tree({"f": b"x"}), ("put", "--dask=tls://127.0.0.1:9")
    without = s3pp(*words, src, moto_bucket.url)
    assert without.code == 3
    assert "tls:// needs certificates, distributed.comm.tls" in without.err
    gone = s3pp(*words, f"--dask-security={tmp_path}/gone", src, moto_bucket.url)
    assert gone.code == 2
    assert f"--dask-security '{tmp_path}/gone': No such file or directory" in gone.err
    settings = tmp_path / "dask.yaml"
    settings.write_text("{distributed: {comm: {tls: {ca-file: /gone, client: {cert: /gone}}}}}")
    wrong = s3pp(*words, f"--dask-security={settings}", src, moto_bucket.url)
    assert wrong.code == 3
    assert "cannot be used: No such file or directory" in wrong.err
