"""What the configuration files of ``s3_upload`` and ``s3_download`` mean."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from s3pp.access import Access, Keys
from s3pp.app import Plan
from s3pp.compat import s3_download, s3_upload
from s3pp.errors import HelpRequested, Misuse, UsageError
from s3pp.job import Compare, Job
from s3pp.limits import MIB
from s3pp.places import Origin, Source

Write = Callable[..., str]


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    """``write("c.ini", DesBucket="b", ...)``: a file of these keys, in the current directory."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "src" / "dir").mkdir(parents=True)

    def write(name: str = "c.ini", **keys: Any) -> str:
        form = "{} = {!r}\n" if name.endswith(".py") else "{} = {}\n"
        head = "" if name.endswith(".py") else "[Basic]\n"
        Path(name).write_text(head + "".join(form.format(*pair) for pair in keys.items()))
        return name

    return write


LOCAL = {"JobType": "LOCAL_TO_S3", "DesBucket": "des-bucket", "SrcDir": "src"}
BUCKETS = {"JobType": "S3_TO_S3", "SrcBucket": "src-bucket", "DesBucket": "des-bucket"}
ALI = {
    "JobType": "ALIOSS_TO_S3",
    "ali_SrcBucket": "ali-bucket",
    "ali_access_key_id": "the-id",
    "ali_access_key_secret": "the-secret",
    "ali_endpoint": "oss-cn-beijing.aliyuncs.com",
    "DesBucket": "des-bucket",
}
DOWN = {"SrcBucket": "src-bucket", "DesDir": "down"}


def uploads(path: str) -> Job:
    return s3_upload.plan([path]).jobs[0]


@pytest.mark.parametrize(
    ("prefix", "name", "key"),
    [
        ("", "*", ""),
        ("p", "*", "p/"),
        ("p/", "*", "p/"),
        ("p//q/./", "*", "p/q/"),
        ("/", "*", ""),
        ("/p", "*", "/p/"),
        ("p/", "a", "p/a"),
        ("p", "dir/./a", "p/dir/a"),
        ("", "a", "a"),
    ],
)
@pytest.mark.parametrize("form", ["c.ini", "c.py"])
def test_the_prefix_of_an_upload_is_a_directory(
    prefix: str, name: str, key: str, form: str, write: Write
) -> None:
    job = uploads(write(form, **LOCAL, S3Prefix=prefix, SrcFileIndex=name))
    (source,) = job.sources
    assert job.dest.key(source.name or "") == key
    assert source == (Source("src") if name == "*" else Source(f"src/{source.name}", source.name))
    assert (job.verb, job.compare, job.dry_run) == ("put", Compare.SIZE, False)


@pytest.mark.parametrize("name", ["/etc/passwd", "../a", "dir/../../a"])
def test_a_file_outside_of_the_directory_is_refused(name: str, write: Write) -> None:
    with pytest.raises(UsageError, match=r"is not below SrcDir: name a file in it$"):
        uploads(write(**LOCAL, SrcFileIndex=name))


@pytest.mark.parametrize(
    ("form", "prefix", "name", "origin"),
    [
        ("c.ini", "", "*", Origin("src-bucket")),
        ("c.ini", "/", "*", Origin("src-bucket")),
        ("c.ini", "a", "*", Origin("src-bucket", "a")),
        ("c.ini", "a/", "*", Origin("src-bucket", "a/")),
        ("c.ini", "a//b/", "*", Origin("src-bucket", "a/b/")),
        ("c.ini", "a", "n", Origin("src-bucket", "a/n", single="a/n")),
        ("c.ini", "/", "n", Origin("src-bucket", "n", single="n")),
        ("c.py", "a", "*", Origin("src-bucket", "a")),
        ("c.py", "a//", "*", Origin("src-bucket", "a//")),
        ("c.py", "/", "*", Origin("src-bucket", "/")),
        ("c.py", "a", "n", Origin("src-bucket", "an", single="an")),
        ("c.py", "a/", "n", Origin("src-bucket", "a/n", single="a/n")),
    ],
)
def test_a_copy_keeps_the_keys_that_the_prefix_begins(
    form: str, prefix: str, name: str, origin: Origin, write: Write
) -> None:
    job = uploads(write(form, **BUCKETS, S3Prefix=prefix, SrcFileIndex=name))
    assert (job.verb, replace(job.origin, cut=0)) == ("copy", origin)
    for key in (origin.prefix, f"{origin.prefix}b/y/key", f"{origin.prefix}/"):
        assert job.dest.key(job.origin.relative(key)) == key
    assert job.dest.key("") == origin.prefix[: origin.prefix.rfind("/") + 1].lstrip("/")


@pytest.mark.parametrize(
    ("prefix", "name", "origin"),
    [
        ("", "*", Origin("src-bucket")),
        ("/", "*", Origin("src-bucket")),
        ("a", "*", Origin("src-bucket", "a")),
        ("a//", "*", Origin("src-bucket", "a//")),
        ("a/", "n", Origin("src-bucket", "a/n", single="a/n")),
    ],
)
def test_a_download_keeps_the_keys_too(
    prefix: str, name: str, origin: Origin, write: Write
) -> None:
    path = write(**DOWN, S3Prefix=prefix, SrcFileIndex=name, SrcProfileName="p", ENDPOINTURL="h:1")
    plan = s3_download.plan([path])
    job, comparison = plan.jobs
    assert (job.verb, job.origin, job.directory) == ("get", origin, "down/")
    assert (job.access.profile, job.access.endpoint_url) == ("p", "https://h:1")
    assert plan.epilogue is not None
    assert plan.epilogue(3725.9) == (
        f"MISSION ACCOMPLISHED - Time: 1H:2M:5S - FROM: src-bucket/{prefix} TO down"
    )
    assert comparison.output.voice.endswith(":DownloadComparisonVoice")


@pytest.mark.parametrize(
    ("form", "keys", "expected"),
    [
        ("c.ini", {}, (5 * MIB, 25, 21, None, None, 1)),
        ("c.py", {}, (50 * MIB, 9, 201, None, None, 1)),
        (
            "c.ini",
            {"ChunkSize": 8, "MaxThread": 2, "MaxParallelFile": 4, "MaxRetry": 0}
            | {"StorageClass": "STANDARD_IA", "IgnoreSmallFile": "True", "LoggingLevel": "WARNING"},
            (8 * MIB, 8, 1, "STANDARD_IA", 8 * MIB, 0),
        ),
        (
            "c.py",
            {"ChunkSize": 8 * MIB, "MaxThread": 10**9, "MaxParallelFile": 10**9}
            | {"MaxRetry": 10**9, "StorageClass": "STANDARD", "LoggingLevel": "DEBUG"},
            (8 * MIB, 100_000, 1000, None, None, 2),
        ),
    ],
)
def test_the_advanced_keys(
    form: str, keys: dict[str, Any], expected: tuple[object, ...], write: Write
) -> None:
    job = uploads(write(form, **LOCAL, **keys))
    speed, objects, chosen = job.speed, job.objects, job.choosing
    attempts, level = job.access.max_attempts, job.output.verbosity
    found = (job.parts.size, speed.concurrency, attempts)
    assert (*found, objects.storage_class, chosen.min_size, level) == expected
    assert job.parts.threshold == job.parts.size
    assert speed.processes <= speed.concurrency


def test_small_files_are_ignored_among_all_only(write: Write) -> None:
    path = write(**LOCAL, SrcFileIndex="a", IgnoreSmallFile="yes")
    assert uploads(path).choosing.min_size is None


def test_the_plan_compares_both_sides_at_the_end(write: Write) -> None:
    """The comparison is the same job as a dry run whose exit code says whether anything is left."""
    plan = s3_upload.plan([write(**LOCAL, S3Prefix="p/")])
    job, comparison = plan.jobs
    voice = "s3pp.compat.resumable_voice:ComparisonVoice"
    shown = replace(job.output, voice=voice)
    assert comparison == replace(job, dry_run=True, exit_code=True, output=shown)
    assert (plan.chained, plan.question, plan.notices) == (True, None, ("reading 'c.ini'",))
    assert plan.epilogue is not None
    assert plan.epilogue(59.9) == (
        "MISSION ACCOMPLISHED - Time: 0H:0M:59S - FROM: src TO des-bucket/p/"
    )
    plan = s3_upload.plan([write("c.py", **BUCKETS, S3Prefix="p/", Odd=1)])
    assert plan.jobs[1].output.voice.endswith(":FirstComparisonVoice")
    assert plan.notices == ("reading 'c.py'", "'c.py': Odd: unknown, without effect")
    assert plan.epilogue is not None
    assert plan.epilogue(0).endswith(" - FROM: src-bucket/p/ TO des-bucket/p/")


@pytest.mark.parametrize(
    ("keys", "origin"),
    [
        (LOCAL | {"S3Prefix": "p/"}, Origin("des-bucket", "p/")),
        (LOCAL, Origin("des-bucket")),
        (LOCAL | {"SrcFileIndex": "a"}, Origin("des-bucket", "a", single="a")),
        (BUCKETS, Origin("des-bucket")),
        (BUCKETS | {"S3Prefix": "p"}, Origin("des-bucket", "p/")),
        (BUCKETS | {"S3Prefix": "p/q"}, Origin("des-bucket", "p/q/")),
        (BUCKETS | {"S3Prefix": "p/"}, Origin("des-bucket", "p/")),
        (
            BUCKETS | {"S3Prefix": "p", "SrcFileIndex": "a"},
            Origin("des-bucket", "p/a", single="p/a"),
        ),
    ],
)
def test_old_uploads_are_cleaned_and_only_below_the_prefix(
    keys: dict[str, Any], origin: Origin, write: Write
) -> None:
    """Not those of ``p2/x``, nor those that another program may be writing."""
    now = time.time()
    question = s3_upload.plan([write(**keys, DontAskMeToClean=False)]).question
    assert question is not None
    found = replace(question.job.origin, cut=0)
    assert (question.job.verb, found, question.consent) == ("clean", origin, "CLEAN")
    assert question.job.choosing.older_than is not None
    assert 0 <= question.job.choosing.older_than - (now - 86_400) < 60
    assert replace(question.look, dry_run=False, output=question.job.output) == question.job


def sides(path: str) -> tuple[Access, Access | None]:
    job = uploads(path)
    return job.access, job.source_access


def test_each_bucket_has_its_own_profile_and_endpoint(write: Write) -> None:
    names = {"SrcProfileName": "us", "DesProfileName": "cn"}
    dest, source = sides(write(**BUCKETS, **names, DesEndpointURL="https://h/", MaxRetry=1))
    assert (dest.profile, dest.endpoint_url, dest.own_settings) == ("cn", "https://h", True)
    assert source is not None
    assert (source.profile, source.endpoint_url, source.own_settings) == ("us", None, True)
    assert source.max_attempts == dest.max_attempts == 2
    assert sides(write(**BUCKETS, DesEndpointURL="aws", SrcEndpointURL=""))[1] is None
    assert sides(write(**BUCKETS, **dict.fromkeys(names, "one")))[1] is None


def test_alibaba_is_reached_by_its_s3_interface(write: Write) -> None:
    path = write(**ALI, DesProfileName="cn", S3Prefix="p")
    dest, source = sides(path)
    assert uploads(path).origin == Origin("ali-bucket", "p")
    assert source is not None
    assert source.credentials == Keys("the-id", "the-secret")
    assert source.endpoint_url == "https://s3.oss-cn-beijing.aliyuncs.com"
    assert (source.addressing, source.profile) == ("virtual", None)
    assert (dest.credentials, dest.profile, dest.endpoint_url) == (None, "cn", None)
    assert "the-secret" not in repr(uploads(path))


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({}, "JobType is not set in 'c.ini': add it"),
        (LOCAL | {"JobType": "GCS_TO_S3"}, "JobType in 'c.ini': 'GCS_TO_S3' is unknown; choose"),
        (LOCAL | {"SrcDir": ""}, "SrcDir is not set in 'c.ini': add it"),
        (LOCAL | {"SrcDir": "none"}, "SrcDir in 'c.ini': 'none' is not a directory"),
        (LOCAL | {"DesBucket": ""}, "DesBucket is not set in 'c.ini': add it"),
        (LOCAL | {"DesBucket": "b/p"}, "DesBucket in 'c.ini': "),
        (LOCAL | {"DesBucket": "bucket/p"}, "DesBucket in 'c.ini': 'bucket/p' is not the name"),
        (BUCKETS | {"SrcBucket": ""}, "SrcBucket is not set in 'c.ini': add it"),
        (ALI | {"ali_endpoint": ""}, "ali_endpoint is not set in 'c.ini': add it"),
        (LOCAL | {"MaxThread": "0"}, "MaxThread in 'c.ini': '0' is not a whole number from 1 up"),
        (
            LOCAL | {"ChunkSize": 5242880},
            "ChunkSize in 'c.ini': 5242880 MB is not what S3 allows: f",
        ),
        (LOCAL | {"MaxRetry": "x"}, "MaxRetry in 'c.ini': 'x' is not a whole number"),
        (LOCAL | {"StorageClass": "a b"}, "StorageClass in 'c.ini': 'a b' is not a name"),
        (LOCAL | {"LoggingLevel": "LOUD"}, "LoggingLevel in 'c.ini': 'LOUD' is unknown; choose"),
        (LOCAL | {"DesEndpointURL": "h:x"}, "DesEndpointURL in 'c.ini': 'h:x' is not of the form"),
    ],
)
def test_a_file_that_names_no_job(keys: dict[str, Any], message: str, write: Write) -> None:
    with pytest.raises(UsageError) as caught:
        uploads(write(**keys))
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)


Front = Callable[[list[str]], Plan]


@pytest.mark.parametrize("plan", [s3_upload.plan, s3_download.plan])
def test_the_command_line(plan: Front, write: Write) -> None:
    path = write(**LOCAL, **DOWN)
    assert plan(["--nogui", path]).jobs[0] == plan(["--nog", path]).jobs[0]
    for wrong, message in (
        (["--gui", path], "--gui: there is no window any more; edit the file, and leave --gui out"),
        ([path, path], "one FILE is read, and 2 are given"),
        (["--chunk-size", "5"], "unrecognized arguments: --chunk-size"),
    ):
        with pytest.raises(Misuse, match=message):
            plan(wrong)
    with pytest.raises(HelpRequested, match=r"FILE"):
        plan(["--help"])
    with pytest.raises(UsageError, match=r"^there is no s3_(up|down)load_config.ini or .* here"):
        plan([])


def test_a_key_that_begins_with_a_slash_is_noticed(write: Write) -> None:
    assert s3_upload.plan([write(**LOCAL, S3Prefix="/p")]).notices[1:] == (
        "S3Prefix '/p' begins with a slash, and so do all keys: drop it if that is wrong",
    )
