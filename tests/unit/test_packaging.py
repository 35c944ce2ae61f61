"""What is distributed, and what an installation needs."""

from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Iterator
from configparser import ConfigParser
from email import message_from_bytes
from email.message import Message
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SHARE = ROOT / "share"  # completion and the manual page
CHECKED_OUT = [".ci", "benchmarks", "bin", "docs", "s3pp", "share", "tests"]
LEFT_BY_TOOLS = re.compile(
    r"/(?:__pycache__|_build|build|dist|\.[a-z]+_cache|\.hypothesis|[\w.]+\.egg-info)/|\.py[co]$"
)
# Modules whose names are not those of their packages.
MODULES = {"python-magic": "magic", "flask-cors": "flask_cors"}
# Imported by modules that are of no use without them, or only if they are there.
OPTIONAL = {"certifi", "pytest", "tomllib", "typing_extensions"}
OTHERS = {"dask", "urllib3", "werkzeug"}  # distributed's, botocore's, and flask's
# moto's: its server does not start without them; and what a cluster of Dask makes certificates by.
IMPORTED_BY_OTHERS = {"cryptography", "flask", "flask_cors"}

BUILD = """
import sys
from setuptools import build_meta
place = sys.argv[1]  # setuptools changes the list
build_meta.build_sdist(place)
build_meta.build_wheel(place)
"""


def setup(section: str, option: str) -> list[str]:
    """The lines of an option in ``setup.cfg``."""
    parser = ConfigParser()
    parser.read(ROOT / "setup.cfg")
    return parser[section][option].strip().split("\n")


def modules(requirements: list[str]) -> set[str]:
    names = {re.split(r"[\[<>=;]", each)[0] for each in requirements}
    return {MODULES.get(name, name) for name in names}


def imported() -> set[str]:
    """The modules outside the standard library that s3pp imports, whenever that may be."""
    found: set[str] = set()
    for path in (ROOT / "s3pp").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and node.module:
                found.add(node.module)
            elif isinstance(node, ast.Import):
                found |= {alias.name for alias in node.names}
    return {name.partition(".")[0] for name in found} - sys.stdlib_module_names - {"s3pp"}


def test_what_is_imported_is_declared_and_the_reverse() -> None:
    extras = {"dask", "magic", "parquet", "sandbox"}
    declared = modules(setup("options", "install_requires"))
    for extra in extras:
        declared |= modules(setup("options.extras_require", extra))
    assert (imported() - OPTIONAL - OTHERS) | IMPORTED_BY_OTHERS == declared


def test_each_dependency_is_described() -> None:
    page = (ROOT / "docs" / "dependencies.rst").read_text()
    requirements = setup("options", "install_requires")
    for extra in ("dask", "magic", "parquet", "sandbox", "test", "docs", "lint", "bench", "stores"):
        requirements += setup("options.extras_require", extra)
    names = {re.split(r"[\[<>=;]", each)[0] for each in requirements} - {"s3pp"}
    assert {name for name in names if name not in page} == set()


def test_the_readme_is_readable_elsewhere() -> None:
    """On a package index there are no files beside it that a link could lead to."""
    text = (ROOT / "README.rst").read_text()
    assert re.findall(r"<(?!https?:)[^<>\s]+>`_|^\.\. _[^:]+: (?!https?:)", text, re.M) == []
    assert not re.search(r":(?:doc|ref|option):`|^\.\. (?:include|toctree|image)::", text, re.M)


@pytest.fixture(scope="module")
def distributions(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A directory with the source distribution and the wheel, built without a network."""
    pytest.importorskip("setuptools", minversion="77")
    place = tmp_path_factory.mktemp("distributions")
    copy = place / "checkout"
    ignored = shutil.ignore_patterns("__pycache__", ".*_cache", ".hypothesis", "*.egg-info")
    copy.mkdir()
    for path in ROOT.iterdir():
        if path.is_dir() and path.name in CHECKED_OUT:
            shutil.copytree(path, copy / path.name, ignore=ignored)
        elif path.is_file() and path.name != ".git":
            shutil.copy(path, copy)
    command = [sys.executable, "-c", BUILD, str(place)]
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    end = subprocess.run(command, cwd=copy, env=environment, capture_output=True, text=True)
    assert end.returncode == 0, end.stderr
    assert "Deprecat" not in end.stderr
    yield place
    shutil.rmtree(place)


def files(directory: Path) -> set[str]:
    paths = (path for path in directory.rglob("*") if path.is_file())
    names = {path.relative_to(ROOT).as_posix() for path in paths}
    return {name for name in names if not LEFT_BY_TOOLS.search(f"/{name}")}


def test_the_source_distribution_is_the_checkout(distributions: Path) -> None:
    [archive] = distributions.glob("*.tar.gz")
    with tarfile.open(archive) as tar:
        names = {name.partition("/")[2] for name in tar.getnames()}
    expected = {"README.rst", "CHANGELOG.rst", "CONTRIBUTING.rst", "LICENSE", "pyproject.toml"}
    for directory in CHECKED_OUT:
        expected |= files(ROOT / directory)
    assert expected - names == set()
    assert not [
        name for name in names if LEFT_BY_TOOLS.search(f"/{name}") and "egg-info" not in name
    ]


def test_the_wheel_is_typed_and_licensed_and_no_more(distributions: Path) -> None:
    [path] = distributions.glob("*.whl")
    with zipfile.ZipFile(path) as wheel:
        names = set(wheel.namelist())
        info = next(name for name in names if name.endswith(".dist-info/METADATA"))
        metadata = message_from_bytes(wheel.read(info))
    assert {"s3pp/py.typed", info.replace("METADATA", "licenses/LICENSE")} <= names
    data = info.replace(".dist-info/METADATA", ".data/data/")
    assert {name.removeprefix(data) for name in names if name.startswith(data)} == files(SHARE)
    rest = {name.partition("/")[0] for name in names if not name.startswith(data)}
    assert rest == {"s3pp", info.partition("/")[0]}
    check_metadata(metadata)


def check_metadata(metadata: Message) -> None:
    assert metadata["License-Expression"] == "MIT"
    assert metadata["License-File"] == "LICENSE"
    classifiers = metadata.get_all("Classifier") or []
    assert "Typing :: Typed" in classifiers
    assert not [each for each in classifiers if each.startswith("License ::")]
    assert metadata["Requires-Python"] == ">=3.10"
    assert metadata.get_payload() == (ROOT / "README.rst").read_text()
