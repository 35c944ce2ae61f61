"""Command lines of s3-parallel-put, and its lines."""

from __future__ import annotations

import os
import re
import time
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3pp.compat.s3_parallel_put import GZIP_TYPES, plan
from s3pp.compat.s3_parallel_put_voice import PutVoice
from s3pp.errors import ExitStatus, FailureKind, S3ppError
from s3pp.job import Job, Mode
from s3pp.places import Source
from s3pp.records import Done, Failed, Outcome, SendReason, Skipped, SkipReason
from s3pp.report.totals import RunReport, Totals
from s3pp.report.voice import NOTHING
from s3pp.sources.earlier_runs import sent_key


def job(*words: str, source: str = ".") -> Job:
    (made,) = plan(["--bucket=my-bucket", *words, source]).jobs
    return made


def refused(*words: str) -> str:
    with pytest.raises(S3ppError) as caught:
        plan(words)
    assert str(caught.value).isprintable()
    return str(caught.value)


def test_defaults_are_those_of_the_old_program() -> None:
    made = job()
    assert (made.verb, made.mode, made.walk, made.dry_run) == (
        "put",
        Mode.UPDATE,
        "filesystem",
        False,
    )
    assert (str(made.dest), made.sources) == ("s3://my-bucket/", (Source("."),))
    assert (made.speed.processes, made.access.endpoint_url, made.access.secure) == (8, None, True)
    assert (made.objects.content_type, made.objects.gzip_types) == ("guess", frozenset())
    assert (made.choosing.matching, made.choosing.newer_than) == ("fnmatch", None)
    assert (made.output.program, made.output.verbosity) == ("s3-parallel-put", 0)


def test_every_option_arrives() -> None:
    made = job(
        "--prefix", "/a//b/", "--host", "store:9000", "--bucket_region", "eu-west-1", "--insecure",
        "--include", "*.x", "--exclude", "*/y*", "--include", "z", "--content-type", "magic",
        "--ignore-files-older-than-days", "7", "--gzip", "--put", "add", "--resume", "l",
        "--resume", "m", "--grant", "public-read", "--header", "Cache-Control:max-age=60",
        "--header", "x-amz-storage-class:STANDARD_IA", "--encrypt-key", "--log-filename", "log",
        "--header", "x-amz-tagging:a=b%20c&d=", "-q", "--verbose",
        "-v", "--dry-run", "--limit", "0", "--processes", "3",
    )  # fmt: skip
    assert (str(made.dest), made.mode, made.dry_run) == ("s3://my-bucket/a/b", Mode.ADD, True)
    access, choosing, objects = made.access, made.choosing, made.objects
    assert (access.endpoint_url, access.region) == ("http://store:9000", "eu-west-1")
    assert choosing.rules == (("include", "*.x"), ("exclude", "*/y*"), ("include", "z"))
    assert (choosing.limit, choosing.resume_logs) == (0, ("l", "m"))
    assert choosing.newer_than == pytest.approx(time.time() - 7 * 86400, abs=60)
    assert (objects.content_type, objects.gzip_types) == ("magic", frozenset(GZIP_TYPES))
    assert (objects.acl, objects.sse, objects.storage_class) == (
        "public-read",
        "AES256",
        "STANDARD_IA",
    )
    assert objects.headers == (("Cache-Control", "max-age=60"),)
    assert objects.tags == (("a", "b c"), ("d", ""))
    assert (made.output.log_file, made.output.verbosity, made.speed.processes) == ("log", 1, 3)


def test_options_may_be_shortened() -> None:
    made = job(
        "--pre=p",
        "--ins",
        "--dry",
        "--proc=2",
        "--gzip-t",
        "all",
        "--gzip",
        "--no-such"[:0] or "-v",
    )
    assert (made.dest.prefix, made.access.secure, made.speed.processes) == ("p", False, 2)
    assert made.objects.gzip_types == frozenset({"all"})
    assert "ambiguous option: --pr" in refused("--bucket=b-b", "--pr=p", ".")


def test_the_type_and_what_is_compressed() -> None:
    extended = job("--gzip", "--gzip-type=guess", "--gzip-type=image/svg+xml")
    assert extended.objects.gzip_types == {*GZIP_TYPES, "image/svg+xml"}
    assert job("--gzip-type", "all").objects.gzip_types == frozenset()  # without --gzip
    assert job("--header", "Content-Type:a/b").objects.content_type == "a/b"
    both = job("--header", "content-type:a/b", "--content-type", "c/d").objects
    assert (both.content_type, both.headers) == ("c/d", ())


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("f", "f"),
        ("./d//f", "d/f"),
        ("d/x/../f", "d/f"),
        ("../f", "f"),
        ("../../d/f", "d/f"),
        ("-", "-"),
    ],
)
def test_a_single_file_keeps_its_path(
    path: str, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = tmp_path / "a" / "b"
    (here / "d" / "x").mkdir(parents=True)
    monkeypatch.chdir(here)
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Path(path).touch()
    assert job("--prefix=p", source=path).sources[0].name == name
    absolute = job("--prefix=p", source=str(here / path)).sources[0].name or ""
    assert f"/{absolute}" == str((here / path).resolve())


@given(st.text("./ab", min_size=1, max_size=12))
def test_no_key_of_a_single_file_leads_out(path: str) -> None:
    from s3pp.compat.s3_parallel_put import _key

    assert not set(_key(path).split("/")) & {".", ".."}
    assert not _key(path).startswith("/")
    assert _key(f"p/{path}") == _key(os.path.normpath(f"p/{path}"))


@pytest.mark.parametrize(
    ("prefix", "of_files", "of_directories"),
    [
        ("./bk", "bk/f", "./bk"),
        ("bk/../../x", "x/f", "bk/../../x"),
        ("..", "f", ".."),
        (".", "f", "."),
        ("a//b/", "a/b/f", "a/b"),
        ("", "f", ""),
    ],
)
def test_the_prefix_of_files_and_archives_was_a_path(
    prefix: str, of_files: str, of_directories: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("f").touch()
    Path("d").mkdir()
    words = ["--bucket=my-bucket", "--prefix", prefix]

    def keys(*more: str) -> list[str]:
        (made,) = plan([*words, *more]).jobs
        names = [each.name or "" for each in made.sources]
        return [each for name in names for each in [made.dest.key(name).rstrip("/")]]

    assert keys("f") == [of_files]
    assert keys("--walk=tar", "f") == [of_files.rpartition("/")[0]]
    assert keys("d") == [of_directories]
    assert keys("f", "d", "./f") == [of_files, of_directories, of_files]


def test_copies() -> None:
    made = plan(["--bucket=my-bucket", "--walk=s3", "--put=copy", "--prefix=p", "one-b", "two-b"])
    (job,) = made.jobs
    assert (job.verb, job.mode, str(job.dest)) == ("copy", Mode.STUPID, "s3://my-bucket/")
    assert list(map(str, job.origins)) == ["s3://one-b/", "s3://two-b/"]
    assert made.notices == ("--prefix has no effect on copies: each object keeps its key",)


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["."], "--bucket is needed: name the bucket"),
        (["--bucket=my-bucket"], "a SOURCE is needed"),
        (["--bucket=my-bucket", ""], "none may be empty"),
        (["--bucket=a/b", "."], "argument --bucket: 'a/b' is not a bucket name"),
        (["--bucket=my-bucket", "--put=copy", "."], "belong together: give both, or neither"),
        (["--bucket=my-bucket", "--walk=s3", "b-b"], "belong together: give both, or neither"),
        (["--bucket=b-b", "--walk=s3", "--put=copy", "b-b"], "--bucket b-b is a SOURCE too"),
        (["--bucket=b-b", "--walk=s3", "--put=copy", "./d"], "SOURCE of --walk s3: './d' is not"),
        (["--bucket=b-b", "--put=all", "."], "argument --put: invalid choice: 'all'"),
        (["--bucket=b-b", "--ignore-files-older-than-days=x", "."], "is not a number of days"),
        (
            ["--bucket=b-b", "--header", "x-amz-acl:all", "."],
            "--header x-amz-acl: 'all' is unknown",
        ),
        (["--bucket=b-b", "--header", "If-Match:x", "."], "--header If-Match would decide"),
        (["--bucket=b-b", "--limit=-1", "."], "is not a whole number"),
    ],
)
def test_what_is_refused(words: list[str], why: str) -> None:
    assert why in refused(*words)


DONE = Done("src/a b", "p/a b", 5, 5, "e", SendReason.NEW)
SKIP = Skipped("src/a", "p/a", 5, SkipReason.SAME_ETAG)
FAIL = Failed("src/a", "p/a", FailureKind.UNREADABLE, "permission denied")


def lines(outcome: Outcome, *words: str) -> list[str]:
    said = PutVoice(job(*words)).outcome(outcome)
    assert said is not None
    return [re.sub(r"-\d+\]", "]", line) for line in (*said.stderr, *said.log)]


@pytest.mark.parametrize(
    ("outcome", "line"),
    [
        (DONE, "INFO:s3-parallel-put[putter]:src/a b -> p/a b"),
        (DONE._replace(encoding="gzip"), "INFO:s3-parallel-put[putter]:src/a b z> p/a b"),
        (DONE._replace(source="x\n"), r"INFO:s3-parallel-put[escaped-putter]:x\n -> p/a b"),
        (SKIP, "INFO:s3-parallel-put[putter]:skipping src/a -> p/a"),
        (FAIL, "ERROR:s3-parallel-put[putter]:src/a -> p/a (permission denied)"),
        (
            SKIP._replace(reason=SkipReason.SPECIAL),
            "WARNING:s3-parallel-put[putter]:skipping src/a -> p/a (not a regular file)",
        ),
        (
            SKIP._replace(reason=SkipReason.OTHER_SIZE),
            "WARNING:s3-parallel-put[putter]:skipping src/a -> p/a (exists with another size)",
        ),
    ],
)
def test_lines(outcome: Outcome, line: str) -> None:
    assert lines(outcome) == [line]
    shown = {"INFO": 0, "WARNING": 1, "ERROR": 2}[line.partition(":")[0]]
    assert [len(lines(outcome, *["-q"] * count)) for count in range(4)] == [
        int(count <= shown) for count in range(4)
    ]


def test_only_what_a_run_sent_is_resumed() -> None:
    said = PutVoice(job()).outcome(DONE)
    dry = PutVoice(job("--dry-run")).outcome(DONE)
    assert said is not None
    assert dry is not None
    assert sent_key(said.stderr[0]) == "p/a b"
    assert re.fullmatch(r"INFO:s3-parallel-put\[dry-run-\d+\]:src/a b -> p/a b", dry.stderr[0])
    assert sent_key(dry.stderr[0]) is None
    earlier = SKIP._replace(reason=SkipReason.DONE_EARLIER)
    assert lines(earlier) == []
    assert lines(earlier, "-v") == ["DEBUG:s3-parallel-put[putter]:skipping src/a -> p/a"]


NAMES = st.lists(
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0/"), min_size=1)
    | st.sampled_from(["x\t", r"x\t", "a -> a", "->", " ", "a:b", "\\"]),
    min_size=1,
    max_size=3,
).map("/".join)
VOICE = PutVoice(job())


def resumed(source: str, key: str) -> str | None:
    said = VOICE.outcome(DONE._replace(source=source, target=key))
    assert said is not None
    return sent_key(said.stderr[0])


@given(NAMES)
def test_a_log_is_read_as_it_is_written(name: str) -> None:
    expected = {f"p/{name}"} | ({None} if " -> " in name else set())
    assert resumed(f"src/{name}", f"p/{name}") in expected
    assert resumed(f"a.tar:{name}", f"p/{name}") in expected
    assert resumed(f"s3://bucket/{name}", name) in expected | {name}


@given(NAMES)
def test_an_old_log_counts_for_the_names_it_has_and_for_no_other(name: str) -> None:
    line = f"INFO:s3-parallel-put[putter-1]:src/{name} -> p/{name}"
    certain = "\\" not in name and "\n" not in name and " -> " not in name
    assert sent_key(line) in ({f"p/{name}"} if certain else {f"p/{name}", None})


def test_the_last_line() -> None:
    totals = Totals(done=2, bytes=4096, seconds=0.5)
    voice = PutVoice(job())
    said = voice.end(RunReport(ExitStatus.OK, totals))
    assert said is not None
    assert re.fullmatch(
        r"INFO:s3-parallel-put\[statter-\d+\]:put 4096 bytes in 2 files in 0\.5 seconds"
        r" \(8192 bytes/s, 4\.0 files/s\)",
        said.stderr[-1],
    )
    failed = RunReport(ExitStatus.SOME_FAILED, replace(totals, failed=1))
    said = voice.end(failed)
    assert said is not None
    assert re.sub(r"-\d+", "", said.stderr[0]) == "ERROR:s3-parallel-put[statter]:1 file not sent"
    logged = PutVoice(job("--log-filename=log", "-q")).end(failed)
    assert logged is not None
    assert logged.stderr == ["s3-parallel-put: 1 file not sent: see log"]
    assert voice.end(RunReport(ExitStatus.ABORTED, None)) == NOTHING
