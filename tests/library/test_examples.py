"""The examples of docs/library.rst and of the README, run as they stand."""

from __future__ import annotations

import re
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

import s3pp
from commands import ROOT, clean_environment
from s3pp.args.verbs import VERBS
from s3pp.library.keywords import COMMAND_ONLY, keywords_of
from s3pp.library.result import MOST_KEPT
from s3pp.testing import SandboxBucket
from trees import make_tree

PAGE = (ROOT / "docs" / "library.rst").read_text()
README = (ROOT / "README.rst").read_text()


def blocks(page: str) -> list[str]:
    """The examples in Python on a page."""
    pattern = r"^\.\. code-block:: python\n\n((?: {3}.*\n|\n)+)"
    return [textwrap.dedent(block) for block in re.findall(pattern, page, re.MULTILINE)]


BLOCKS = blocks(PAGE)
FILES = {"photos/a.jpg": b"1" * 20_000, "photos/b.jpg": b"2" * 20_000, "notes.txt": b"3"}


def named(block: str) -> str | None:
    """The file that an example is; None: it is for a program."""
    found = re.match(r"# (\w+\.py)\n", block)
    return found and found[1]


def test_the_examples_run_one_after_the_other(
    s3pp_bucket: SandboxBucket,
    s3pp_sandbox: s3pp.sandbox.Sandbox,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for bucket in ("bucket", "backup"):
        s3pp_sandbox.create_bucket(bucket)
    make_tree(tmp_path, FILES)
    monkeypatch.chdir(tmp_path)
    programs = [block for block in BLOCKS if not named(block)] + blocks(README)
    assert len(programs) == 9
    namespace: dict[str, object] = {}
    for block in programs:
        exec(compile(block, "docs/library.rst", "exec"), namespace)
    out = capsys.readouterr().out
    assert "2 uploaded, 0 skipped, 40000 bytes\n" in out
    assert "wrong call: bucket not found: s3://no-such-bucket at http" in out
    assert "photos/b.jpg 20000\n" in out
    assert re.search(r"^album/2026/notes \d{4}-.* 40000$", out, re.MULTILINE)
    assert "0 uploaded, 2 skipped, 0 failed\n" in out, "that of the README"
    assert (tmp_path / "restored" / "a.jpg").read_bytes() == FILES["photos/a.jpg"]


@pytest.mark.parametrize("workers", [0, 2])
def test_the_plugin_runs_as_shown(tmp_path: Path, workers: int) -> None:
    for block in BLOCKS:
        if name := named(block):
            (tmp_path / name).write_text(block)
    command = [sys.executable, "-m", "pytest", "-q", "-n", str(workers), "-p", "no:cacheprovider"]
    env = clean_environment(None, {"AWS_PROFILE": "not-this-one"})
    end = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True)
    assert "1 passed" in end.stdout, end.stdout + end.stderr


def test_the_page_tells_what_is_there() -> None:
    for name in s3pp.__all__:
        assert re.search(rf"\b{name}\b", PAGE) or name == "__version__"
    for name in vars(s3pp.RunResult)["__match_args__"]:
        assert f"``{name}``" in PAGE, name
    for name in COMMAND_ONLY:
        option = name.replace("_", "-")
        assert f"``--{option}``" in PAGE or f"``--no-{option}``" in PAGE
    assert f"the first {MOST_KEPT}" in PAGE
    keywords = set(re.findall(r"``([a-z_]+)=", PAGE))
    known = set().union(*map(keywords_of, VERBS))
    assert keywords - known == {"credentials"}


@pytest.mark.thorough
def test_a_typed_program_satisfies_mypy(tmp_path: Path) -> None:
    """So it does whenever the project is checked; here with nothing of its settings."""
    pytest.importorskip("mypy")
    program = Path(__file__).with_name("typed_program.py")
    (copy := tmp_path / "program.py").write_text(program.read_text())
    command = [sys.executable, "-m", "mypy", "--strict", "--cache-dir", str(tmp_path), str(copy)]
    env = {**clean_environment(None, {}), "MYPYPATH": str(ROOT)}
    end = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True)
    assert end.stdout == "Success: no issues found in 1 source file\n", end.stdout + end.stderr
