"""Arguments of ``get`` become a job, or one line that names the fix."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from cli.conftest import Told
from s3pp.args.verbs import build_job
from s3pp.body_options import DownloadOptions
from s3pp.errors import UsageError
from s3pp.job import Job, Mode
from s3pp.places import Origin, parse_origin

SOURCE = "s3://bucket/p"


def job(*words: str, directory: str = "d") -> Job:
    return build_job("get", [*words, SOURCE, directory])


def refused(*words: str) -> str:
    with pytest.raises(UsageError) as caught:
        build_job("get", [*words])
    message = str(caught.value)
    assert message.isprintable()
    return message


def test_the_arguments_are_a_source_and_a_directory() -> None:
    made = job()
    assert (made.verb, made.origin, made.directory) == ("get", Origin("bucket", "p/", 2, "p"), "d")
    assert (made.sources, made.dest.bucket, made.source_access) == ((), "", None)
    assert (made.mode, made.dry_run, made.download) == (Mode.UPDATE, False, DownloadOptions())


@pytest.mark.parametrize("source", ["s3://bucket", "s3://bucket/p/", "s3://bucket/p*"])
def test_standard_output_takes_one_object(source: str) -> None:
    made = job(directory="-")
    assert made.is_stream
    assert (made.origin, made.directory) == (Origin("bucket", "p", 0, "p"), "-")
    assert f"source {source!r} does not name one object" in refused(source, "-")
    assert not job(directory="./-").is_stream


def test_links_are_written_through_only_where_asked() -> None:
    assert not job().choosing.follow_symlinks
    assert job("--follow-symlinks").choosing.follow_symlinks is True
    assert job("--no-follow-symlinks").choosing.follow_symlinks is False


def test_every_option_of_its_own_arrives() -> None:
    made = job("--fsync", "--gunzip", "--listers", "9", "--order", "size", "--mode", "add", "-n")
    assert made.download == DownloadOptions(fsync=True, gunzip=True)
    assert (made.speed.listers, made.choosing.order) == (9, "size")
    assert (made.mode, made.dry_run) == (Mode.ADD, True)


def test_the_options_of_choosing_apply_to_keys() -> None:
    made = job(
        "--include", "*.x", "--exclude", "a/**", "--min-size", "1k", "--max-size", "2k",
        "--newer-than", "2026-01-01T00:00:00Z", "--older-than", "2026-01-02T00:00:00Z",
        "--limit", "7", "--files-from", "list", "--null",
    )  # fmt: skip
    choosing = made.choosing
    assert choosing.rules == (("include", "*.x"), ("exclude", "a/**"))
    assert (choosing.min_size, choosing.max_size, choosing.limit) == (1024, 2048, 7)
    assert (choosing.newer_than, choosing.older_than) == (1767225600.0, 1767312000.0)
    assert (choosing.files_from, choosing.null) == ("list", True)


@pytest.mark.parametrize("option", ["--walk", "--gzip", "--header", "--tag", "--content-type"])
def test_what_is_about_sending_is_no_option_here(option: str) -> None:
    with pytest.raises(Exception, match=option):
        build_job("get", [option, "x", SOURCE, "d"])


@pytest.mark.parametrize(
    ("words", "mention"),
    [
        ([], "s3://"),
        ([SOURCE], "DIRECTORY"),
        (["a", "b", "c"], "'a' is not of the form"),
        ([SOURCE, "b", "c"], "'b' is not of the form"),
        (["d", SOURCE], "'d'"),
        ([SOURCE, ""], "DIRECTORY ''"),
        ([SOURCE, "s3://other"], "s3pp copy"),
        (["s3://a b", "d"], "a b"),
        (["s3://bucket/\udcff", "d"], "UTF-8"),
        (["--listers", "0", SOURCE, "d"], "--listers"),
        (["--listers", "1000", SOURCE, "d"], "256"),
        (["--order", "time", SOURCE, "d"], "--order"),
        (["--null", SOURCE, "d"], "--files-from"),
        (["--min-size", "2k", "--max-size", "1k", SOURCE, "d"], "--max-size"),
    ],
)
def test_what_cannot_be_meant(
    words: list[str],
    mention: str,
    command: Callable[..., Told],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    told = command("get", *words)
    assert (told.code, told.out) == (2, "")
    assert told.err[:-1].isprintable()
    assert mention in told.err
    assert os.listdir(tmp_path) == []


# What is checked before anything starts


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("standing", ["file", "dangling", "fifo"])
def test_a_directory_that_is_none(standing: str, here: Path, command: Callable[..., Told]) -> None:
    ways: dict[str, Callable[[], object]] = {
        "file": lambda: (here / "d").write_bytes(b""),
        "dangling": lambda: (here / "d").symlink_to("nowhere"),
        "fifo": lambda: os.mkfifo(here / "d"),
    }
    ways[standing]()
    # Of a single object it is the file, which may be replaced, or is left alone.
    told = command("get", "s3://bucket", "d")
    assert (told.code, told.out) == (2, "")
    assert "DIRECTORY 'd'" in told.err


@pytest.mark.parametrize("option", ["--journal", "--log-file"])
@pytest.mark.parametrize("path", ["d/own", "d/below/own", "link/own"])
def test_own_files_do_not_lie_where_objects_are_written(
    option: str, path: str, here: Path, command: Callable[..., Told]
) -> None:
    (here / "d" / "below").mkdir(parents=True)
    (here / "link").symlink_to("d")
    told = command("get", option, path, SOURCE, "d")
    assert (told.code, told.out) == (2, "")
    assert option in told.err
    assert "DIRECTORY 'd'" in told.err
    assert not (here / path).exists()


def test_nor_where_the_directory_will_be(here: Path, command: Callable[..., Told]) -> None:
    told = command("get", "--journal", "d/own", SOURCE, "d")
    assert told.code == 2
    assert os.listdir(here) == []


@pytest.mark.parametrize(
    ("words", "mention"),
    [
        (["--files-from", "nolist"], "nolist"),
        (["--ca-bundle", "nobundle"], "nobundle"),
        (["--exclude", ".."], "--exclude '..': it can match nothing"),
    ],
)
def test_what_is_not_there_to_be_used(
    words: list[str], mention: str, here: Path, command: Callable[..., Told]
) -> None:
    told = command("get", *words, SOURCE, "d")
    assert (told.code, told.out) == (2, "")
    assert mention in told.err
    assert os.listdir(here) == []


def test_a_star_is_part_of_the_source() -> None:
    made = build_job("get", ["s3://bucket/a/b*", "."])
    assert made.origin == parse_origin("s3://bucket/a/b*")
    assert str(made.origin) == "s3://bucket/a/b*"
