"""Options from ``s3pp.toml``, presets and variables, and what a retry makes of them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import s3pp as library
from commands import Run
from conftest import Tree
from outcomes import reasons
from stores.store import Bucket, Store

FILE = """
journal = "put.jsonl"
quiet = 1

[put]
exclude = ["*.tmp"]
metadata = { owner = "me" }
max-delete = 5
lock = "auto"

[preset.mirror.put]
delete = true
"""


def test_a_job_runs_by_its_file_and_is_retried_as_it_ran(
    s3pp: Run, moto: Store, moto_bucket: Bucket, tree: Tree, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    src, config, url = (
        tree({"a": b"1", "b.tmp": b"2"}, "src"),
        tmp_path / "s3pp.toml",
        moto_bucket.url,
    )
    config.write_text(FILE)
    config.chmod(0o600)
    first = s3pp("put", "src", url, env={"S3PP_CONCURRENCY": "3"})
    assert (first.code, first.out, first.err) == (0, "", "")
    assert moto_bucket.tree() == {"a": b"1"}
    assert moto_bucket.head("a")["Metadata"] == {"owner": "me"}
    start = json.loads((tmp_path / "put.jsonl").read_text().splitlines()[0])
    assert {"--exclude=*.tmp", "--concurrency=3", "--lock=auto", "--quiet"} < {*start["command"]}
    assert (start["settings"]["concurrency"], start["withheld"]) == (3, ["metadata"])
    assert not [word for word in start["command"] if "config" in word]

    # A retry has the settings of the journal, and from the file what that withholds.
    config.write_text(FILE.replace("*.tmp", "*.x").replace("quiet = 1", "concurrency = 7"))
    (src / "c.x").write_bytes(b"3")
    again = s3pp("retry", "--json", "--no-quiet", "--journal", "retry.jsonl", "put.jsonl")
    assert (again.code, reasons(again)) == (0, {"a": "done in an earlier run", "c.x": "new"})
    assert moto_bucket.head("c.x")["Metadata"] == {"owner": "me"}
    start = json.loads((tmp_path / "retry.jsonl").read_text().splitlines()[0])
    assert (start["settings"]["concurrency"], start["settings"]["lock"]) == (3, "auto")
    assert s3pp("retry", "--no-config", "put.jsonl").code == 2

    # A preset that deletes, seen by a dry run, and taken back.
    (src / "a").unlink()
    words = ("put", "--preset", "mirror", "src", url)
    look = s3pp(*words, "-n", "--exclude", "*.tmp")
    assert look.code == 0
    assert f"delete {url}/a (not in source)" in look.out
    assert "s3pp: --delete is set by s3pp.toml, line 12 (--no-delete takes it back)\n" in look.err
    assert s3pp(*words, "--no-delete", "--no-exclude").err == ""
    assert set(moto_bucket.tree()) == {"a", "c.x", "b.tmp"}

    # A file that is wrong stops the command before anything is sent, and no call of the library.
    config.write_text("[put]\ngzp = true\n")
    wrong = s3pp("put", "src", url)
    assert (wrong.code, wrong.out) == (2, "")
    assert wrong.err == "s3pp: s3pp.toml, line 2: 'gzp' is not an option: did you mean gzip?\n"
    for name, value in moto.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("S3PP_MAX_REQUESTS", "none")
    monkeypatch.chdir(tmp_path)
    assert library.put("src", url, endpoint_url=moto.url, processes=1).ok
