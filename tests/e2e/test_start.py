"""What a run of few objects imports: most of its CPU goes there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from commands import ROOT, Result, Run
from conftest import Tree
from stores.store import Bucket

# Needed by no run of small objects whose configuration is plain, whatever its verb.
NEVER = {
    "awscrt",
    "boto3",
    "botocore",
    "configparser",
    "ctypes",
    "html",
    "http.client",
    "isal",
    "magic",
    "pycurl",
    "rich",
    "tarfile",
    "tomllib",
    "urllib3",
    "xml.etree",
    "s3pp.args.defaults",
    "s3pp.args.precedence",
    "s3pp.pipeline.streaming",
    "s3pp.report.journal",
    "s3pp.report.progress",
    "s3pp.s3.boto_session",
    "s3pp.s3.identity",
    "s3pp.s3.probe",
    "s3pp.sources.archive",
    "s3pp.sources.spooling",
}
NEVER_TO_PUT = {
    "email",
    "json",
    "s3pp.localfs.locks",
    "s3pp.localfs.name_conflicts",
    "s3pp.localfs.stale_files",
    "s3pp.localfs.temporary_file",
    "s3pp.s3.parallel_listing",
    "s3pp.sources.earlier_runs",
    "s3pp.sources.names",
    "s3pp.sources.objects",
    "s3pp.transfer.get",
    "s3pp.transfer.copy",
}


def imported(result: Result) -> set[str]:
    """The modules that any process of a run imported, and the packages above them."""
    modules = re.findall(r"import time: +\d+ \| +\d+ \| +([\w.]+)", result.err)
    return {module[: end.start()] for module in modules for end in re.finditer(r"\.|\Z", module)}


@pytest.fixture
def plain_home(tmp_path: Path) -> dict[str, str]:
    """Variables of a user without configuration files, and for Python to name its imports."""
    return {"HOME": str(tmp_path), "PYTHONPROFILEIMPORTTIME": "1"}


def test_a_run_of_one_small_object_imports_only_what_it_needs(
    s3pp: Run, moto_bucket: Bucket, tmp_path: Path, plain_home: dict[str, str]
) -> None:
    (tmp_path / "f").write_bytes(b"content")
    into, out = f"{moto_bucket.url}/f", tmp_path / "out"
    runs: list[tuple[list[object], set[str]]] = [
        (["put", tmp_path / "f", into], NEVER | NEVER_TO_PUT),
        (["get", into, out], NEVER - {"isal", "ctypes"}),
        (["copy", into, f"{moto_bucket.url}/g"], NEVER),
        (["list", moto_bucket.url], NEVER),
    ]
    for words, never in runs:
        result = s3pp(*words, env=plain_home)
        assert result.code == 0
        modules = imported(result)
        assert {"asyncio", "s3pp.s3.client"} <= modules
        assert (words[0], sorted(modules & never)) == (words[0], [])
    assert out.read_bytes() == b"content"
    assert moto_bucket.keys() == ["f", "g"]


def test_the_version_and_an_error_import_next_to_nothing(
    s3pp: Run, plain_home: dict[str, str]
) -> None:
    version = s3pp("--version", store=None, env=plain_home)
    assert version.code == 0
    assert not imported(version) & {"argparse", "asyncio", "dataclasses", "s3pp.job"}
    error = s3pp("put", "--no-such-option", store=None, env=plain_home)
    assert error.code == 2
    assert not imported(error) & {"asyncio", "multiprocessing", "s3pp.s3.client"}


def test_every_command_runs_in_an_interpreter_of_its_own(
    s3pp: Run, front: Run, moto_bucket: Bucket, tree: Tree, tmp_path: Path
) -> None:
    """Most tests fork their commands from a loaded process, see ``forked``."""
    src, at = tree({"a": b"1", "b": b"2"}), moto_bucket.url
    runs: list[list[object]] = [
        ["put", "--plan", "plan", src, at],
        ["apply", "plan"],
        ["copy", f"{at}/a", f"{at}/c"],
        ["move", f"{at}/b", f"{at}/d"],
        ["get", "--journal", "journal", at, "out"],
        ["verify", "journal"],
        ["retry", "--max-requests", "900", "journal"],
        ["remove", f"{at}/c"],
        ["list", at],
        ["clean", at],
    ]
    for words in runs:
        assert (words[0], s3pp(*words, fresh=True).code) == (words[0], 0)
    assert moto_bucket.tree() == {"a": b"1", "d": b"2"}
    assert tree.read(tmp_path / "out") == {"a": b"1", "c": b"1", "d": b"2"}
    for script in sorted((ROOT / "bin").iterdir()):
        result = front(script.name, "--help", fresh=True)
        assert (script.name, result.code) == (script.name, 0)
        assert "usage" in result.out.lower()
