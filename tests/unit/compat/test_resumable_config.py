"""The configuration files of amazon-s3-resumable-upload: both forms, as data."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from s3pp.compat.resumable_config import (
    MEGABYTE,
    Configuration,
    _load_ini,
    _load_python,
    find,
    load,
)
from s3pp.errors import UsageError
from s3pp.escaping import one_line

INI = """
[Basic]
JobType = LOCAL_TO_S3
# 'LOCAL_TO_S3' | 'S3_TO_S3' | 'ALIOSS_TO_S3'

S3Prefix =
SRCFILEINDEX = *
[LOCAL_TO_S3]
SrcDir = /data/100%%
[ALIOSS_TO_S3]
ali_SrcBucket = "my-bucket"  # a remark
[Advanced]
ChunkSize = 7
DontAskMeToClean = yes
Odd = 1
"""
PYTHON = b"""# -*- coding: utf-8 -*-
'''Basic'''
JobType = "S3_TO_S3"  # 'LOCAL_TO_S3' | 'S3_TO_S3'
SrcProfileName = None
Megabytes = 1024*1024
ChunkSize = 1.5 * 50 * Megabytes
MaxThread = 3
IgnoreSmallFile = True
odd = 1
"""


Write = Callable[..., str]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def write(content: str | bytes, name: str = "c.ini") -> str:
        path = tmp_path / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return str(path)

    return write


@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_an_ini_file(write: Write, mark: str) -> None:
    config = load(write(mark + INI))
    assert config.text("jobtype") == config.text("JobType") == "LOCAL_TO_S3"
    assert config.text("SrcFileIndex") == "*"
    assert config.text("S3Prefix", "none") == "none"
    assert config.text("SrcDir") == "/data/100%"
    assert config.text("ali_SrcBucket") == "my-bucket"
    assert config.chunk_size() == 7 * MEGABYTE
    assert config.flag("dontaskmetoclean", default=False)
    assert config.flag("ifVerifyMD5", default=True)
    known = ("JobType", "S3Prefix", "SrcFileIndex", "SrcDir", "ali_SrcBucket", "ChunkSize")
    assert config.unknown(known) == (
        f"'{config.path}': dontaskmetoclean and odd: unknown, without effect"
    )
    assert config.unknown((*known, "DontAskMeToClean", "ODD")) == ""
    assert not config.python


def test_a_python_file(write: Write) -> None:
    config = load(write(PYTHON, "c.py"))
    assert config.text("JOBTYPE") == "S3_TO_S3"
    assert config.text("SrcProfileName") == ""
    assert config.chunk_size() == 75 * MEGABYTE
    assert config.text("MaxThread") == "3"
    assert config.flag("IgnoreSmallFile", default=False)
    known = ("JobType", "SrcProfileName", "ChunkSize", "MaxThread", "IgnoreSmallFile")
    assert config.unknown(known) == f"'{config.path}': odd: unknown, without effect"
    assert config.python


def test_the_default_size_of_parts_is_that_of_the_version() -> None:
    assert Configuration("c.py", {}, python=True).chunk_size() == 50 * MEGABYTE
    assert Configuration("c.ini", {}).chunk_size() == 5 * MEGABYTE


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("x = 1\n", "c.ini', line 1: there is no section above it: begin the file with [Basic]"),
        ("[A]\nx = 1\nodd\n", "c.ini', line 3: this is neither a section nor KEY = VALUE"),
        ("[A]\nx = 1\nX = 2\n", "c.ini', line 3: x is set twice: keep one of them"),
        ("[A]\n[A]\n", "c.ini', line 2: a second [A]: merge it with the first"),
        ("[A]\nx = 1\n[B]\nx = 2\n", "c.ini': x is set in [A] and [B]: keep one of them"),
        ("[A]\nsecret = a%b\n", "c.ini': secret holds a % that means nothing: write %%"),
        (b"[A]\nx = \xff\n", "c.ini' is not UTF-8: save it in that encoding"),
    ],
)
def test_an_ini_file_that_cannot_be_read(write: Write, content: str | bytes, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        load(write(content))
    assert str(caught.value).endswith(message)


pieces = st.sampled_from(["[A]", "%(a)s", "import", *"[]=:#;%'\"aB()*1\\\ufeff\0 \t\n\r\x85\u2028"])


@given(st.one_of(st.binary(max_size=60), st.lists(pieces).map(lambda each: "".join(each).encode())))
@example(b"[A]\na\n b\n")
@example(b"[]\na=1\n")
@example(b"[A]\n=1\n")
def test_whatever_is_in_a_file_it_is_read_or_refused_in_one_line(content: bytes) -> None:
    for reader in (_load_ini, _load_python):
        refusal, settings = "", {}
        try:
            settings = dict(reader("c", content).settings)
        except UsageError as error:
            refusal = str(error)
        assert one_line(refusal) == refusal
        assert all(isinstance(each, str) for each in settings.values())


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"c.ini' cannot be read: No such file or directory$"):
        load(str(tmp_path / "c.ini"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("4", "ChunkSize in 'c.ini': 4 MB is not what S3 allows: from 5 to 5120 MB"),
        ("5121", "ChunkSize in 'c.ini': 5121 MB is not what S3 allows: from 5 to 5120 MB"),
        ("5MB", "ChunkSize in 'c.ini': '5MB' is not a whole number from 1 up"),
    ],
)
def test_a_size_that_is_none(text: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        Configuration("c.ini", {"chunksize": text}).chunk_size()
    assert str(caught.value) == message


@given(st.sampled_from(["true", "yes", "on", "1"]), st.booleans())
def test_flags(text: str, capital: bool) -> None:
    text = text.title() if capital else text
    assert Configuration("c", {"a": text}).flag("A", default=False)


def test_a_flag_and_a_key_that_are_missing() -> None:
    with pytest.raises(UsageError, match=r"^A in 'c': 'maybe' is neither True nor False$"):
        Configuration("c", {"a": "maybe"}).flag("A", default=False)
    with pytest.raises(UsageError, match=r"^DesBucket is not set in 'c': add it$"):
        Configuration("c", {"desbucket": ""}).require("DesBucket")


def test_where_a_file_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beside the command, as before, or else in this directory; by the order of names."""
    here, beside = tmp_path / "here", tmp_path / "beside"
    here.mkdir()
    beside.mkdir()
    monkeypatch.chdir(here)
    names, program = ("c.ini", "c.py", "c.ini.default"), str(beside / "s3_upload")
    with pytest.raises(UsageError) as caught:
        find(names, program)
    assert str(caught.value) == (
        f"there is no c.ini or c.py or c.ini.default here, nor beside '{program}':"
        " name the file as an argument"
    )
    (here / "c.ini.default").touch()
    assert find(names, program) == "c.ini.default"
    (here / "c.py").touch()
    assert find(names, program) == "c.py"
    (beside / "c.ini.default").touch()
    assert find(names, program) == str(beside / "c.ini.default")
    assert find(names, "s3_upload") == "c.py"
