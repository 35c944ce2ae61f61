"""``s3_upload`` of amazon-s3-resumable-upload, from its own configuration files."""

from __future__ import annotations

import json
import os
import pty
import re
import signal
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from commands import Result, Run, Running, Start, as_anybody
from conftest import MakeRecorder, Tree, WriteProfiles
from stores.relay import Answer, Request
from stores.store import Bucket, Store

MIB = 1 << 20
TIME = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3}"
ACCOMPLISHED = r"MISSION ACCOMPLISHED - Time: 0H:0M:\d+S - FROM: {} TO {}"

# As the program brings it, with its remarks (abridged), and places of the test.
EXAMPLE = """
[Basic]
JobType = LOCAL_TO_S3
# 'LOCAL_TO_S3' | 'S3_TO_S3' | 'ALIOSS_TO_S3'

DesBucket = {bucket}
# 目标文件bucket, type = str

S3Prefix = my-prefix

SrcFileIndex = *

DesProfileName =

[LOCAL_TO_S3]
SrcDir = {source}

[S3_TO_S3]
SrcBucket = my-src-bucket

SrcProfileName = iad

[ALIOSS_TO_S3]
ali_SrcBucket = img-process
ali_access_key_id = xxxx
ali_access_key_secret = xxx
ali_endpoint = oss-cn-beijing.aliyuncs.com

[Advanced]
ChunkSize = 5
MaxRetry = 20
MaxThread = 5
MaxParallelFile = 5
StorageClass = STANDARD
ifVerifyMD5 = False
DontAskMeToClean = False
LoggingLevel = INFO
"""


def example(bucket: Bucket, source: Path | str = "src", **keys: Any) -> str:
    """The example with other values of ``keys``, which it has."""
    text = EXAMPLE.format(bucket=bucket.name, source=source)
    for key, value in keys.items():
        text, count = re.subn(rf"^{key} =.*$", f"{key} = {value}", text, flags=re.MULTILINE)
        assert count, key
    return text


Configure = Callable[[str], None]


@pytest.fixture
def configure(tmp_path: Path) -> Configure:
    """Write ``s3_upload_config.ini`` to where the command runs."""

    def write(text: str) -> None:
        (tmp_path / "s3_upload_config.ini").write_text(text, "utf-8-sig")

    return write


def logged(result: Result, level: str = "INFO|WARNING") -> list[str]:
    """The texts of the log, without times."""
    return re.findall(rf"^{TIME} (?:{level}) - (.*)$", result.err, re.MULTILINE)


def missing(result: Result) -> list[dict[str, Any]]:
    return [json.loads(line) for line in logged(result, "WARNING") if line.startswith("{")]


ALL_THERE = "All source files are in destination Bucket/Prefix"


def test_the_example(
    front: Run, moto_bucket: Bucket, tree: Tree, configure: Configure, recorder: MakeRecorder
) -> None:
    """A first run sends everything, a second nothing; no object, file or question is added."""
    files = {"a": b"1", "dir/b": b"22", "empty": b"", "large": bytes(5 * MIB + 1), "ü +%": b"3"}
    source = tree(files)
    configure(example(moto_bucket, f"{source}/"))
    moto_bucket.put("my-prefix/a", b"x")  # of the same size: that is all that is compared
    moto_bucket.put("my-prefix/dir/b", b"x")
    before = {path.name for path in source.parent.iterdir()}
    first = front("s3_upload", "--nogui")
    assert first.code == 0
    assert moto_bucket.tree() == {f"my-prefix/{name}": body for name, body in files.items()} | {
        "my-prefix/a": b"x"
    }
    assert moto_bucket.head("my-prefix/large")["ETag"].endswith('-2"')
    *_, accomplished = first.lines
    assert re.fullmatch(
        ACCOMPLISHED.format(f"{source}/", f"{moto_bucket.name}/my-prefix"), accomplished
    )
    assert set(logged(first)) == {
        "Duplicated. a same size, goto next file.",
        *(
            f"FINISH: {name} TO {moto_bucket.url}/my-prefix/{name}"
            for name in ("dir/b", "empty", "large", "ü +%")
        ),
        "Comparing destination and source ...",
        f"{ALL_THERE}. Job well done.",
    }
    assert first.err.startswith("s3_upload: reading 's3_upload_config.ini'\n")
    recorded = recorder(moto_bucket.store)
    second = front("s3_upload", store=recorded.store)
    assert (second.code, recorded.puts, recorded.count("POST")) == (0, 0, 0)
    assert len([line for line in logged(second) if line.startswith("Duplicated. ")]) == len(files)
    assert {path.name for path in source.parent.iterdir()} == before


def test_what_is_missing_at_the_end_fails_the_run(
    front: Run, moto_bucket: Bucket, tree: Tree, configure: Configure
) -> None:
    """A file that cannot be read, and a broken link: named once, listed with key and size."""
    source = tree({"a": b"1", "dir/closed": b"333"})
    (source / "dir" / "closed").chmod(0)
    (source / "broken").symlink_to("nowhere")
    configure(example(moto_bucket, LoggingLevel="WARNING"))
    result = front("s3_upload", preexec_fn=as_anybody)
    assert result.code == 1
    assert moto_bucket.tree() == {"my-prefix/a": b"1"}
    reasons = {each["Key"]: (each["Size"], each["Error"]) for each in missing(result)}
    assert reasons.keys() == {"broken", "dir/closed"}
    assert reasons["dir/closed"] == (None, "src/dir/closed cannot be read: Permission denied")
    assert result.err.count("cannot be read: Permission denied") == 2
    assert logged(result)[-1] == "There are 2 files not in destination or not the same size"
    assert logged(result, "INFO") == []
    assert "MISSION" not in result.out
    assert ALL_THERE not in result.err


def test_one_file_and_no_small_ones(
    front: Run, moto_bucket: Bucket, tree: Tree, configure: Configure
) -> None:
    tree({"dir/a": b"1", "dir/b": b"2", "large": bytes(5 * MIB)})
    configure(example(moto_bucket, SrcFileIndex="dir/a", StorageClass="STANDARD_IA"))
    one = front("s3_upload")
    assert (one.code, moto_bucket.tree()) == (0, {"my-prefix/dir/a": b"1"})
    assert moto_bucket.head("my-prefix/dir/a")["StorageClass"] == "STANDARD_IA"
    assert logged(one)[0] == f"FINISH: dir/a TO {moto_bucket.url}/my-prefix/dir/a"
    configure(example(moto_bucket, S3Prefix="") + "IgnoreSmallFile = True\n")
    assert front("s3_upload").code == 0
    assert moto_bucket.keys() == ["large", "my-prefix/dir/a"]
    configure(example(moto_bucket, SrcFileIndex="none"))
    absent = front("s3_upload")
    assert (absent.code, absent.out) == (2, "")
    assert "src/none' does not exist" in absent.err


def test_a_bucket_that_does_not_exist_is_said_once(
    front: Run, moto_bucket: Bucket, tree: Tree, configure: Configure
) -> None:
    tree({"a": b"1"})
    configure(example(moto_bucket, DesBucket="no-such-bucket-here"))
    result = front("s3_upload")
    assert (result.code, result.out) == (2, "")
    assert result.err.count("no-such-bucket-here") == 1
    assert logged(result) == []


def test_an_interrupted_transfer_is_not_compared(
    front_start: Start,
    moto_bucket: Bucket,
    tree: Tree,
    configure: Configure,
    recorder: MakeRecorder,
) -> None:
    tree({str(number): b"1" for number in range(50)})
    configure(example(moto_bucket, MaxThread=1, MaxParallelFile=1))
    running: list[Running] = []

    def interrupt(request: Request) -> None:
        if request.method == "PUT":
            running[0].signal(signal.SIGINT)

    store = recorder(moto_bucket.store, intercept=interrupt).store
    running.append(front_start("s3_upload", store=store))
    result = running[0].wait()
    assert result.code == 130
    assert 0 < len(moto_bucket.keys()) < 50
    assert "Comparing" not in result.err
    assert "MISSION" not in result.out


def begin(bucket: Bucket, key: str, *parts: bytes) -> None:
    """An upload that was cut off after these parts."""
    at = {"Bucket": bucket.name, "Key": key}
    upload = bucket.client.create_multipart_upload(**at)["UploadId"]
    for number, part in enumerate(parts, 1):
        bucket.client.upload_part(**at, UploadId=upload, PartNumber=number, Body=part)


def unfinished(bucket: Bucket) -> list[str]:
    told = bucket.client.list_multipart_uploads(Bucket=bucket.name)
    return sorted(each["Key"] for each in told.get("Uploads", []))


def test_nobody_is_asked_without_a_terminal_and_uploads_are_resumed(
    front: Run, moto_bucket: Bucket, tree: Tree, configure: Configure, recorder: MakeRecorder
) -> None:
    content = os.urandom(12 * MIB)
    tree({"large": content})
    begin(moto_bucket, "my-prefix/large", content[: 5 * MIB])
    begin(moto_bucket, "my-prefix/other", b"1")
    configure(example(moto_bucket))
    recorded = recorder(moto_bucket.store)
    result = front("s3_upload", store=recorded.store, stdin=b"CLEAN\n")
    assert (result.code, moto_bucket.tree()) == (0, {"my-prefix/large": content})
    assert recorded.count("PUT", "partNumber=") == 2
    assert unfinished(moto_bucket) == ["my-prefix/other"]
    assert "CLEAN" not in result.out + result.err


class Terminal:
    """A command whose standard streams are a terminal."""

    def __init__(self, start: Start, store: Store) -> None:
        self._near, far = pty.openpty()
        self._running: Running = start(
            "s3_upload", store=store, stdin=far, stdout=far, stderr=far, env={"TERM": "dumb"}
        )
        os.close(far)
        self.said = ""

    def answer(self, text: str) -> int:
        """Type ``text`` when asked, and return the exit code."""
        self._read(until="keep them: ")
        os.write(self._near, text.encode())
        self._read()
        os.close(self._near)
        return self._running.popen.wait(30)

    def _read(self, until: str | None = None) -> None:
        while until is None or until not in self.said:
            try:
                self.said += os.read(self._near, 65536).decode()
            except OSError:  # the other side is closed
                return


def an_hour_ago(request: Request, answer: Answer) -> Answer:
    """The same answer, but ``…young`` was begun an hour ago; moto has begun all in 2010."""
    if "uploads" not in request.target:
        return answer
    begun = (datetime.now(timezone.utc) - timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%S.000Z")
    young = rb"(?s)(<Key>[^<]*young</Key>.*?<Initiated>)[^<]*"
    headers = [pair for pair in answer.headers if pair[0].lower() != "content-length"]
    body = re.sub(young, rb"\g<1>" + begun.encode(), answer.body)
    return replace(answer, headers=headers, body=body)


def test_on_a_terminal_uploads_are_cleaned_if_the_user_says_so(
    front_start: Start,
    moto_bucket: Bucket,
    tree: Tree,
    configure: Configure,
    recorder: MakeRecorder,
) -> None:
    """Old ones of the keys below S3Prefix, exactly those listed: the rest may be in progress."""
    tree({"a": b"1"})
    configure(example(moto_bucket))
    others = ["my-prefix/young", "my-prefix2/old"]
    for key in ("my-prefix/old", *others):
        begin(moto_bucket, key, b"1")
    store = recorder(moto_bucket.store, rewrite=an_hour_ago).store
    kept = Terminal(front_start, store)
    assert kept.answer("\n") == 0
    assert unfinished(moto_bucket) == ["my-prefix/old", *others]
    assert "Unfinished upload, Key: my-prefix/old, Time: " in kept.said
    assert kept.said.count("Unfinished upload, ") == 1
    where = f"1 unfinished upload in {moto_bucket.url}/my-prefix/*, begun more than a day ago"
    assert where in kept.said
    cleaned = Terminal(front_start, store)
    assert cleaned.answer("CLEAN\n") == 0
    assert unfinished(moto_bucket) == others
    assert "INFO - CLEAN FINISHED" in cleaned.said
    assert "MISSION ACCOMPLISHED" in cleaned.said
    assert moto_bucket.tree() == {"my-prefix/a": b"1"}


PYTHON = """# -*- coding: utf-8 -*-
'''Basic Configure'''
JobType = "S3_TO_S3"  # 'LOCAL_TO_S3' | 'S3_TO_S3' | 'ALIOSS_TO_S3'
SrcFileIndex = "{name}"
S3Prefix = "{prefix}"
DesProfileName = "cn"
DesBucket = "{dest}"
SrcBucket = "{source}"
SrcProfileName = "us"
Megabytes = 1024*1024
ChunkSize = 50 * Megabytes
MaxRetry = 200
MaxThread = 3
MaxParallelFile = 3
IgnoreSmallFile = False
StorageClass = "STANDARD"
"""


@pytest.mark.swift
def test_two_stores_and_a_configuration_in_python(
    front: Run,
    moto_bucket: Bucket,
    swift_bucket: Bucket,
    profiles: WriteProfiles,
    tmp_path: Path,
) -> None:
    """Each side has its profile; keys stay, and a prefix without a slash is that of a name."""
    files = {"a/x": b"1", "a/sub/y": b"22", "ab/z": b"", "b": b"3"}
    for key, body in files.items():
        swift_bucket.put(key, body)
    env = profiles(us=swift_bucket.store, cn=moto_bucket.store)
    path = tmp_path / "s3_upload_config.py"
    settings = {"dest": moto_bucket.name, "source": swift_bucket.name}
    path.write_text(PYTHON.format(prefix="a/", name="x", **settings))
    one = front("s3_upload", store=None, env=env)
    assert (one.code, moto_bucket.tree()) == (0, {"a/x": b"1"})
    path.write_text(PYTHON.format(prefix="a", name="*", **settings))
    result = front("s3_upload", store=None, env=env)
    assert result.code == 0
    assert moto_bucket.tree() == {key: body for key, body in files.items() if key != "b"}
    assert logged(result, "INFO")[-1] == ALL_THERE
    ends = (f"{swift_bucket.name}/a", f"{moto_bucket.name}/a")
    assert re.fullmatch(ACCOMPLISHED.format(*ends), result.lines[-1])


def test_a_configuration_is_never_executed(front: Run, moto_bucket: Bucket, tmp_path: Path) -> None:
    path = tmp_path / "s3_upload_config.py"
    settings = {"prefix": "", "name": "*", "dest": moto_bucket.name, "source": moto_bucket.name}
    path.write_text(PYTHON.format(**settings) + "open('made', 'w').close()\n")
    result = front("s3_upload")
    assert (result.code, result.out) == (2, "")
    assert result.err == (
        f"s3_upload: 's3_upload_config.py', line {len(PYTHON.splitlines()) + 1}: only assignments"
        " of values to names are read, because the file is never executed: write NAME = VALUE\n"
    )
    assert not (tmp_path / "made").exists()


@pytest.mark.swift
def test_alibaba(
    front: Run, swift_bucket: Bucket, moto_bucket: Bucket, moto: Store, tmp_path: Path
) -> None:
    """OSS is another store with S3's interface, with keys in the file."""
    swift_bucket.put("p/a", b"1")
    store, path = swift_bucket.store, tmp_path / "my.ini"
    path.write_text(
        example(
            moto_bucket,
            JobType="ALIOSS_TO_S3",
            S3Prefix="p",
            MaxRetry=1,
            ali_SrcBucket=f'"{swift_bucket.name}"  # a remark',
            ali_access_key_id=store.access_key,
            ali_access_key_secret=store.secret_key,
            ali_endpoint=store.url,
        )
    )
    result = front("s3_upload", path, store=moto)
    assert (result.code, moto_bucket.tree()) == (0, {"p/a": b"1"})
