"""What is refused before anything starts."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from s3pp.errors import UsageError
from s3pp.job import Job
from s3pp.places import Source, parse_origin, parse_place
from s3pp.sources import check
from s3pp.sources.checking import check_key, check_origin, name_single

from .trees import job, pack, plant


@pytest.fixture
def top(tmp_path: Path) -> Path:
    return plant(tmp_path / "top", {"f": "", "list": "f"})


def refused(**settings: object) -> str:
    """The message of the error for such a job."""
    sources = settings.pop("sources")
    with pytest.raises(UsageError) as caught:
        check(job(*sources, **settings))  # type: ignore[misc, arg-type]
    message = str(caught.value)
    assert "\n" not in message
    message.encode()
    return message


def test_good_sources_pass(top: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("top/f")
    check(job(top, top / "f", tmp_path / "link"))
    check(job(top, files_from=str(top / "list"), rules=(("include", "*"),)))
    check(job(top, files_from="-"))
    check(job(pack(tmp_path / "a.tar", {}), walk="tar"))


@pytest.mark.parametrize(
    ("name", "dest", "named", "becomes"),
    [
        ("f", "s3://bkt/p/new", "new", "s3://bkt/p"),
        ("f", "s3://bkt/new", "new", "s3://bkt/"),
        ("f", "s3://bkt//new", "/new", "s3://bkt/"),
        ("f", "s3://bkt/p//new", "new", "s3://bkt/p/"),
        ("f", "s3://bkt", None, "s3://bkt/"),
        ("f", "s3://bkt/", None, "s3://bkt/"),
        ("f", "s3://bkt/p/", None, "s3://bkt/p"),
        ("", "s3://bkt/p", None, "s3://bkt/p"),
    ],
)
def test_a_single_file_goes_to_the_very_key(
    name: str, dest: str, named: str | None, becomes: str, top: Path
) -> None:
    given = replace(job(top / name), dest=parse_place(dest))
    named_job = name_single(given)
    assert [source.name for source in named_job.sources] == [named]
    assert str(named_job.dest) == becomes
    assert named_job.writes == dest.removesuffix("/") or named is None
    assert named_job.key_prefix == (dest.removeprefix("s3://bkt/") if named else given.key_prefix)


def test_several_sources_an_archive_and_a_named_one_go_below_the_destination(top: Path) -> None:
    dest = parse_place("s3://bkt/p")
    named = job(Source(str(top / "f"), "x"))
    for each in (job(top / "f", top / "list"), job(top / "f", walk="tar"), named):
        given = replace(each, dest=dest)
        assert name_single(given) == given
    with pytest.raises(UsageError, match="its name is empty"):
        check(job(Source(str(top / "f"), "")))


def test_no_source() -> None:
    assert "no SOURCE" in refused(sources=[])


@pytest.mark.parametrize("name", ["gone", "top/f/x", "bad\udcff", ""])
def test_a_source_that_is_not_there(top: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(top.parent)
    assert "does not exist" in refused(sources=[top, name])


def test_a_source_that_is_neither_file_nor_directory(top: Path) -> None:
    os.mkfifo(top / "fifo")
    (top / "broken").symlink_to("gone")
    assert "fifo' is neither a regular file nor a directory" in refused(sources=[top / "fifo"])
    assert "broken' is a broken symbolic link to 'gone'" in refused(sources=[top / "broken"])
    assert f"SOURCE '{top}/f/' is not a directory" in refused(sources=[f"{top}/f/"])


def test_a_source_that_cannot_be_reached(top: Path) -> None:
    (top / "circle").symlink_to("circle")
    told = "circle' cannot be read: Too many levels of symbolic links"
    assert told in refused(sources=[top / "circle"])
    assert told in refused(sources=[top], files_from=str(top / "circle"))


def test_a_directory_that_cannot_be_listed(top: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(path: str) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "scandir", denied)
    assert "cannot be listed: Permission denied" in refused(sources=[top])


def test_walk_tar_of_a_directory(top: Path) -> None:
    assert "--walk tar reads archives" in refused(sources=[top], walk="tar")


def test_an_unknown_walk(top: Path) -> None:
    assert "filesystem, tar" in refused(sources=[top], walk="bucket")


def test_a_bad_glob(top: Path) -> None:
    assert "--include '../x': it can match nothing" in refused(
        sources=[top], rules=(("include", "../x"),)
    )


def test_a_prefix_that_is_not_utf8(top: Path) -> None:
    assert "prefix of s3://bucket/p\\xff is not UTF-8" in refused(sources=[top], prefix="p\udcff")
    check(job(top, prefix="préfixe\\x"))


def test_lists(top: Path, tmp_path: Path) -> None:
    there = str(top / "list")
    assert "exactly one SOURCE" in refused(sources=[top, top], files_from=there)
    assert "exactly one SOURCE" in refused(sources=[top / "f"], files_from=there)
    assert "does not exist" in refused(sources=[top], files_from="gone")
    assert "cannot be read" in refused(sources=[top], files_from=str(top))
    archive = pack(tmp_path / "a.tar", {})
    assert "--walk tar" in refused(sources=[archive], walk="tar", files_from=there)


def test_a_list_from_a_pipe_is_not_touched(top: Path) -> None:
    os.mkfifo(top / "pipe")
    check(job(top, files_from=str(top / "pipe")))


def test_streams_are_single_objects() -> None:
    """Of jobs that a program makes: the command line has its own words for these."""
    one = parse_origin("s3://bucket/p")
    check_origin(Job("get", origins=(one.alone,), directory="-"))
    for origins in ((one,), (one.alone, one.alone), (parse_origin("s3://bucket"),)):
        with pytest.raises(UsageError, match="DIRECTORY - takes one object"):
            check_origin(Job("get", origins=origins, directory="-"))
    check_key("p")
    for key, why in (("", "it has no key"), ("p" * 1025, "1025 bytes"), ("\udcff", "not UTF-8")):
        with pytest.raises(UsageError, match=why):
            check_key(key)
