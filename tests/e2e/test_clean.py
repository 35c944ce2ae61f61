"""Aborting unfinished uploads: which, in which words, and which never."""

from __future__ import annotations

import json
import re
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from email.utils import format_datetime
from pathlib import Path
from signal import Signals
from typing import Any

import pytest

from commands import Run, Start
from conftest import MakeRecorder
from outcomes import says
from stores.relay import Answer, Request, error
from stores.store import Bucket, Store

ALL = ("--older-than", "2100-01-01")  # Swift rounds the times of what was just begun up
PART = b"x" * 1000
REPLACED = ("date", "content-length")
SUMMARY = re.compile(
    r"(?P<verb>clean|would abort) (?P<done>\d+) uploads? \((?P<bytes>(at least )?\d+) bytes\)"
    r" in \d+\.\d seconds(, with (?P<requests>\d+) requests?)?(?P<rest>.*)"
)


def begin(bucket: Bucket, key: str, parts: int = 1) -> str:
    """An upload that nobody finishes."""
    at = {"Bucket": bucket.name, "Key": key}
    upload: str = bucket.client.create_multipart_upload(**at)["UploadId"]
    for number in range(1, parts + 1):
        bucket.client.upload_part(**at, UploadId=upload, PartNumber=number, Body=PART)
    return upload


def begun(bucket: Bucket) -> list[str]:
    """The keys of what is unfinished, each as often as it is."""
    return sorted((each["Key"] for each in unfinished(bucket)), key=str.encode)


def unfinished(bucket: Bucket) -> list[dict[str, Any]]:
    told = bucket.client.list_multipart_uploads(Bucket=bucket.name)
    return list(told.get("Uploads", []))


def keys(result: Any, verb: str = "abort") -> list[str]:
    return re.findall(rf"^{verb} s3://[^/]+/(.*) \(.*\)$", result.out, re.MULTILINE)


def summary(result: Any) -> dict[str, str]:
    found = SUMMARY.fullmatch(result.summary)
    assert found, result
    return found.groupdict()


KEYS = ("p", "p-q/a", "p/a b+%2B", "p/a b+%2B", "p/é 漢/<&>", "p/é.x", "q", "pq")


@pytest.fixture
def littered(bucket: Bucket) -> Bucket:
    for at, key in enumerate(KEYS):
        begin(bucket, key, at)
    bucket.put("p/object", b"stays")
    return bucket


PLACES = {
    "/p": [0, 2, 3, 4, 5],
    "/p/": [0, 2, 3, 4, 5],
    "/p*": [0, 1, 2, 3, 4, 5, 7],
    "/q": [6],
    "/p/é*": [4, 5],
    "/p/a b+%2B": [2, 3],
    "/nothing": [],
    "": range(8),
}


@pytest.mark.parametrize("place", PLACES)
def test_what_a_place_means(s3pp: Run, moto_bucket: Bucket, place: str) -> None:
    for at, key in enumerate(KEYS):
        begin(moto_bucket, key, at)
    result = s3pp("clean", "-v", moto_bucket.url + place)
    assert (result.code, result.err) == (0, "")
    assert sorted(keys(result)) == sorted(KEYS[at] for at in PLACES[place])
    left = [key for at, key in enumerate(KEYS) if at not in PLACES[place]]
    assert begun(moto_bucket) == sorted(left, key=str.encode)


def test_what_is_planned_is_what_is_done(s3pp: Run, littered: Bucket) -> None:
    place, meant = f"{littered.url}/p", PLACES["/p"]
    planned = s3pp("clean", "-n", *ALL, place)
    assert begun(littered) == sorted(KEYS, key=str.encode)
    done = s3pp("clean", "-v", *ALL, place)
    assert sorted(keys(planned)) == sorted(keys(done)) == sorted(KEYS[at] for at in meant)
    left = [key for at, key in enumerate(KEYS) if at not in meant]
    assert begun(littered) == sorted(left, key=str.encode)
    for result, verb in ((planned, "would abort"), (done, "clean")):
        assert (result.code, result.err) == (0, "")
        told = summary(result)
        counts = (told["verb"], told["done"], told["bytes"], told["rest"])
        assert counts == (verb, str(len(meant)), str(sum(meant) * len(PART)), "")
    assert littered.get("p/object") == b"stays"


def test_what_a_dry_run_tells(s3pp: Run, bucket: Bucket) -> None:
    begin(bucket, "film.mp4", 3)
    result = s3pp("clean", "-n", *ALL, bucket.url)
    line, _ = result.lines
    pattern = r"abort s3://\S+/film\.mp4 \(3 parts, 3000 bytes, begun \d{4}-\S+Z: \d+[dhms] ago\)"
    assert re.fullmatch(pattern, line)


def test_the_real_run_is_quiet_unless_asked(s3pp: Run, bucket: Bucket) -> None:
    for key in ("a", "b"):
        begin(bucket, key)
    result = s3pp("clean", *ALL, f"{bucket.url}/a")
    assert (result.code, len(result.lines), summary(result)["done"]) == (0, 1, "1")
    result = s3pp("clean", "-q", *ALL, bucket.url)
    assert (result.code, result.out, result.err) == (0, "", "")
    assert begun(bucket) == []


def test_a_dry_run_tells_the_requests_of_the_real_one(
    s3pp: Run, littered: Bucket, recorder: MakeRecorder
) -> None:
    record = recorder(littered.store)
    place = f"{littered.url}/p"
    planned = s3pp("clean", "-n", *ALL, place, store=record.store)
    assert record.count("DELETE") == 0
    record.clear()
    assert s3pp("clean", *ALL, place, store=record.store).code == 0
    assert int(summary(planned)["requests"]) == len(record.requests)
    assert record.count("DELETE") == 5


def test_json_and_journal(s3pp: Run, littered: Bucket, tmp_path: Path) -> None:
    journal = tmp_path / "journal"
    words = ("--json", "--journal", journal, *ALL, f"{littered.url}/p")
    planned = s3pp("clean", "-n", *words)
    result = s3pp("clean", *words)
    *events, last = result.events
    assert [each["event"] for each in events] == ["done"] * 5
    assert [*events[0]] == [
        "event", "verb", "bucket", "key", "upload_id", "initiated", "parts", "size"
    ]  # fmt: skip
    found = {each["key"]: (each["parts"], each["size"]) for each in events}
    assert found["p/é.x"] == (5, 5000)
    assert len({each["upload_id"] for each in events}) == 5
    assert last.pop("seconds") > 0
    size = sum((0, 2, 3, 4, 5)) * len(PART)
    counts = {"listed": 5, "done": 5, "skipped": 0, "failed": 0, "bytes": size}
    assert last == {"event": "summary", "verb": "clean", **counts}
    assert [{**each, "dry_run": True} for each in events] == planned.events[:-1]
    assert planned.events[-1]["dry_run"]
    lines = [json.loads(line) for line in journal.read_text().splitlines()]
    assert [each["event"] for each in lines] == ["start", *["done"] * 5, "summary"] * 2
    assert lines[0]["sources"] == [f"{littered.url}/p"]
    assert says(lines[8:13], events)


@pytest.mark.swift
def test_what_was_begun_today_is_left_alone(s3pp: Run, swift_bucket: Bucket) -> None:
    begin(swift_bucket, "a")
    result = s3pp("clean", swift_bucket.url)
    assert (result.code, result.lines[:-1], summary(result)["rest"]) == (0, [], ", 1 skipped")
    assert "--older-than 0s" in result.err
    assert result.err.count("\n") == 1
    planned = s3pp("clean", "-n", swift_bucket.url)
    assert keys(planned, "skip") == ["a"]
    assert "begun less than a day ago" in planned.out
    assert begun(swift_bucket) == ["a"]
    chosen = s3pp("clean", "--older-than", "1h", swift_bucket.url)
    assert "no unfinished uploads found that the filters select" in chosen.err
    assert (summary(chosen)["done"], summary(chosen)["rest"]) == ("0", "")
    time.sleep(1.1)  # what Swift rounds up is past
    assert s3pp("clean", "--older-than", "0s", swift_bucket.url).code == 0
    assert begun(swift_bucket) == []


def test_globs_and_limit(s3pp: Run, littered: Bucket) -> None:
    place = f"{littered.url}/p"
    result = s3pp("clean", "-n", *ALL, "--include", "*.x", place)
    assert keys(result) == ["p/é.x"]
    result = s3pp("clean", "-n", *ALL, "--exclude", "é*/**", "--exclude", "a b*", place)
    assert sorted(keys(result)) == ["p", "p/é.x"]
    result = s3pp("clean", *ALL, "--limit", "2", place)
    assert summary(result)["done"] == "2"
    assert len(begun(littered)) == len(KEYS) - 2


def test_nothing_to_do(s3pp: Run, bucket: Bucket) -> None:
    result = s3pp("clean", bucket.url)
    assert (result.code, summary(result)["done"]) == (0, "0")
    assert "no unfinished uploads found: nothing to do" in result.err


def test_no_bucket(s3pp: Run, store: Store) -> None:
    result = s3pp("clean", "s3://there-is-no-such-bucket", store=store)
    assert (result.code, result.out) == (2, "")
    assert "there-is-no-such-bucket" in result.err
    assert result.err.count("\n") == 1


def test_the_sandbox(s3pp: Run) -> None:
    result = s3pp("clean", "--sandbox", "s3://bucket", store=None)
    assert (result.code, summary(result)["done"]) == (0, "0")


# What a store may do


@dataclass
class Faults:
    """An interceptor that may break requests of one method about one key."""

    method: str
    key: str
    answer: Callable[[], Answer | None]
    times: int = 1000

    def __call__(self, request: Request) -> Answer | None:
        hit = request.method == self.method and request.path.endswith(f"/{self.key}")
        if not hit or not self.times:
            return None
        self.times -= 1
        return self.answer()


@pytest.fixture
def three(moto_bucket: Bucket) -> Bucket:
    for key in ("a", "b", "c"):
        begin(moto_bucket, key)
    return moto_bucket


def test_one_that_is_refused_fails_by_name(
    s3pp: Run, three: Bucket, moto: Store, recorder: MakeRecorder, tmp_path: Path
) -> None:
    record = recorder(moto, intercept=Faults("DELETE", "b", lambda: error(403, "AccessDenied")))
    journal = tmp_path / "journal"
    result = s3pp("clean", "-v", "--journal", journal, three.url, store=record.store)
    assert (result.code, keys(result)) == (1, ["a", "c"])
    assert result.err.startswith(f"s3pp: abort {three.url}/b: AccessDenied")
    assert result.err.count("\n") == 1
    assert summary(result)["rest"] == ", 1 failed"
    assert begun(three) == ["b"]
    events = [json.loads(line) for line in journal.read_text().splitlines()]
    (failed,) = [each for each in events if each["event"] == "failed"]
    assert (failed["key"], failed["kind"]) == ("b", "access")


def test_a_cause_is_shown_twenty_times_and_then_counted(
    s3pp: Run, moto_bucket: Bucket, moto: Store, recorder: MakeRecorder, tmp_path: Path
) -> None:
    for at in range(23):
        begin(moto_bucket, f"u{at:02}")
    begin(moto_bucket, "other")

    def refuse(request: Request) -> Answer | None:
        if request.method != "DELETE":
            return None
        return error(*((400, "Strange") if "/u" in request.target else (405, "MethodNotAllowed")))

    between, journal = recorder(moto, intercept=refuse), tmp_path / "journal"
    result = s3pp("clean", "--journal", journal, moto_bucket.url, store=between.store)
    assert (result.code, len(unfinished(moto_bucket))) == (1, 24)
    *failures, head, most, least = result.err.splitlines()
    assert len(failures) == 20 + 1
    named = "the first 20 of each are named above; --journal names all"
    assert head == f"s3pp: failures by cause ({named}):"
    assert (most.split(), least.split()) == (
        ["s3pp:", "23", "rejected", "(Strange)"],
        ["s3pp:", "1", "rejected", "(MethodNotAllowed)"],
    )
    told = [json.loads(line) for line in journal.read_text().splitlines()]
    assert sum(event.get("code") == "Strange" for event in told) == 23
    quiet = s3pp("clean", "-qq", moto_bucket.url, store=between.store)
    assert (quiet.code, quiet.err) == (1, "")


@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_one_that_vanishes_meanwhile_is_skipped(
    s3pp: Run, three: Bucket, moto: Store, recorder: MakeRecorder, method: str
) -> None:
    def vanish() -> Answer:
        ids = {each["Key"]: each["UploadId"] for each in unfinished(three)}
        if "b" in ids:
            three.client.abort_multipart_upload(Bucket=three.name, Key="b", UploadId=ids["b"])
        return error(404, "NoSuchUpload")

    record = recorder(moto, intercept=Faults(method, "b", vanish))
    result = s3pp("clean", "-vv", three.url, store=record.store)
    assert (result.code, result.err, keys(result)) == (0, "", ["a", "c"])
    assert keys(result, "skip") == ["b"]
    assert "gone already" in result.out
    assert summary(result)["rest"] == ", 1 skipped"


def test_one_that_is_listed_and_denied_is_told(
    s3pp: Run, three: Bucket, moto: Store, recorder: MakeRecorder
) -> None:
    record = recorder(moto, intercept=Faults("GET", "b", lambda: error(404, "NoSuchUpload")))
    result = s3pp("clean", "-v", three.url, store=record.store)
    assert (result.code, keys(result)) == (1, ["a", "c"])
    (line,) = result.err.splitlines()
    (left,) = unfinished(three)
    assert line.startswith(f"s3pp: abort {three.url}/b: the store lists this upload")
    assert left["UploadId"] in line
    assert summary(result)["rest"] == ", 1 failed"


def test_parts_that_may_not_be_listed(
    s3pp: Run, three: Bucket, moto: Store, recorder: MakeRecorder
) -> None:
    record = recorder(moto, intercept=Faults("GET", "b", lambda: error(403, "AccessDenied")))
    planned = s3pp("clean", "-n", "--json", three.url, store=record.store)
    assert [each.get("parts", 0) for each in planned.events] == [1, None, 1, 0]
    result = s3pp("clean", "-v", three.url, store=record.store)
    assert (result.code, result.err) == (0, "")
    assert "/b (parts unknown, begun" in result.out
    assert summary(result)["bytes"] == "at least 2000"
    assert begun(three) == []


def test_a_part_that_arrives_late_is_aborted_too(
    s3pp: Run, three: Bucket, moto: Store, recorder: MakeRecorder
) -> None:
    ignored = Faults("DELETE", "b", lambda: Answer(204), times=2)
    record = recorder(moto, intercept=ignored)
    result = s3pp("clean", three.url, store=record.store)
    assert (result.code, summary(result)["done"]) == (0, "3")
    assert record.count("DELETE", "/b?") == 3
    assert begun(three) == []


def test_a_list_that_breaks_off_ends_the_run(
    s3pp: Run, three: Bucket, moto: Store, recorder: MakeRecorder
) -> None:
    cut = (
        b"<ListMultipartUploadsResult><IsTruncated>true</IsTruncated><Upload><Key>a</Key>"
        b"<UploadId>x</UploadId><Initiated>2020-01-01T00:00:00Z</Initiated></Upload></Li"
    )
    told = Answer(200, [("Content-Type", "application/xml")], cut)
    record = recorder(moto, intercept=lambda request: told if "uploads" in request.target else None)
    result = s3pp("clean", three.url, store=record.store)
    assert (result.code, summary(result)["done"]) == (3, "0")
    assert "cannot be read" in result.err
    assert result.err.count("\n") == 1
    assert begun(three) == ["a", "b", "c"]


def test_uploads_that_may_not_be_listed(
    s3pp: Run, three: Bucket, moto: Store, recorder: MakeRecorder
) -> None:
    refusal = error(403, "AccessDenied")
    record = recorder(
        moto, intercept=lambda request: refusal if "uploads" in request.target else None
    )
    result = s3pp("clean", three.url, store=record.store)
    assert result.code == 3
    assert three.url in result.err
    assert "AccessDenied" in result.err
    assert summary(result)["rest"] == "", "nothing was listed: no count of what was not attempted"


def test_uploads_none_of_which_may_be_aborted(
    s3pp: Run, three: Bucket, moto: Store, recorder: MakeRecorder
) -> None:
    denied = error(403, "AccessDenied")
    record = recorder(
        moto, intercept=lambda request: denied if request.method == "DELETE" else None
    )
    result = s3pp("clean", three.url, store=record.store)
    assert (result.code, summary(result)["rest"]) == (3, ", 3 failed")
    assert "refuses every abort" in result.err
    assert begun(three) == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("status", "code", "enough"), [(400, "Strange", 100), (403, "AccessDenied", 50)]
)
def test_a_store_that_refuses_the_first_so_many_alike(
    s3pp: Run,
    moto_bucket: Bucket,
    moto: Store,
    recorder: MakeRecorder,
    tmp_path: Path,
    status: int,
    code: str,
    enough: int,
) -> None:
    """Of three times as many; no more aborts are begun, and one line says why."""
    begun_at = "<Initiated>2020-01-01T00:00:00Z</Initiated></Upload>"
    listed = "".join(
        f"<Upload><Key>{at:03}</Key><UploadId>u</UploadId>{begun_at}" for at in range(3 * enough)
    )
    page = f"<ListMultipartUploadsResult>{listed}</ListMultipartUploadsResult>".encode()

    def refuse(request: Request) -> Answer | None:
        if "uploads" in request.target:
            return Answer(200, [("Content-Type", "application/xml")], page)
        if request.method == "DELETE":
            return error(status, code)
        return error(403, "AccessDenied") if "uploadId" in request.target else None

    between, journal = recorder(moto, intercept=refuse), tmp_path / "journal"
    result = s3pp("clean", "--journal", journal, moto_bucket.url, store=between.store)
    assert result.code == 3
    (line,) = result.err.splitlines()
    told = f"s3pp: the store refuses every abort, and the rest is not tried: {code}"
    assert line.startswith(told)
    events = [json.loads(each)["event"] for each in journal.read_text().splitlines()]
    assert enough <= events.count("failed") <= between.count("DELETE") <= enough + 17
    assert summary(result)["rest"].startswith(f", {events.count('failed')} failed")


def test_a_time_that_is_not_told(
    s3pp: Run, three: Bucket, moto: Store, recorder: MakeRecorder
) -> None:
    """Who does not know how old an upload is does not abort it."""

    def forget(request: Request, answer: Answer) -> Answer:
        body = re.sub(b"<Initiated>.*?</Initiated>", b"", answer.body, count=1)
        headers = [(name, value) for name, value in answer.headers if name != "Content-Length"]
        return Answer(answer.status, headers, body) if "uploads" in request.target else answer

    record = recorder(moto, rewrite=forget)
    result = s3pp("clean", *ALL, three.url, store=record.store)
    assert (result.code, summary(result)["done"]) == (1, "2")
    assert "when it was begun" in result.err
    assert begun(three) == ["a"]


def test_ages_count_by_the_clock_of_the_store(
    s3pp: Run, three: Bucket, moto: Store, recorder: MakeRecorder
) -> None:
    """Ours is two days ahead of it, and the uploads are an hour old."""
    now = datetime.now(timezone.utc) - timedelta(days=2)
    begun_at = (now - timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%S.000Z").encode()

    def behind(request: Request, answer: Answer) -> Answer:
        body = re.sub(b"(?<=<Initiated>)[^<]*", begun_at, answer.body)
        kept = [(name, value) for name, value in answer.headers if name.lower() not in REPLACED]
        return Answer(answer.status, [*kept, ("Date", format_datetime(now, usegmt=True))], body)

    record = recorder(moto, rewrite=behind)
    result = s3pp("clean", three.url, store=record.store)
    assert (result.code, summary(result)["done"]) == (0, "0")
    assert "3 uploads begun less than a day ago are skipped" in result.err
    assert begun(three) == ["a", "b", "c"]


def wait_for_delivery(pid: int) -> None:
    """Two signals of one kind that are not delivered yet would be one."""
    deadline = time.monotonic() + 40
    while time.monotonic() < deadline:
        told = Path("/proc", str(pid), "status").read_text()
        if not any(int(each, 16) for each in re.findall(r"^S\w+Pnd:\s*(\w+)", told, re.MULTILINE)):
            return
        time.sleep(0.005)
    raise AssertionError("the signal was not taken")


@pytest.mark.parametrize("signals", [1, 2])
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_stopped_by_a_signal(
    s3pp_start: Start,
    moto_bucket: Bucket,
    moto: Store,
    recorder: MakeRecorder,
    number: Signals,
    code: int,
    signals: int,
) -> None:
    for at in range(40):
        begin(moto_bucket, f"{at:02}", 0)
    reached, go_on = threading.Event(), threading.Event()

    def hold(request: Request) -> None:
        if request.method == "DELETE" and request.path.endswith("/05"):
            reached.set()
            go_on.wait(20)

    record = recorder(moto, intercept=hold)
    running = s3pp_start("clean", "-v", moto_bucket.url, store=record.store)
    assert reached.wait(20)
    running.signal(number)
    wait_for_delivery(running.pid)
    if signals == 2:
        running.signal(number)
    else:
        go_on.set()
    result = running.wait(40)
    go_on.set()
    assert result.code == code
    name = {signal.SIGINT: "Ctrl-C"}.get(number, signal.Signals(number).name)
    assert result.err.endswith(f": finishing active requests ({name} again to stop now)\n")
    assert result.err.count("\n") == 1
    done = keys(result)
    assert ("05" in done) == (signals == 1)
    assert (6 if signals == 1 else 0) <= len(done) < 40
    assert summary(result)["done"] == str(len(done))
    assert ("not attempted" in result.out) == (signals == 2)
    assert not set(done) & set(begun(moto_bucket))


def test_a_stop_before_anything_was_done(
    s3pp_start: Start, three: Bucket, moto: Store, recorder: MakeRecorder
) -> None:
    reached = threading.Event()

    def hang(request: Request) -> None:
        reached.set()
        time.sleep(3)

    record = recorder(moto, intercept=hang)
    running = s3pp_start("clean", three.url, store=record.store)
    assert reached.wait(20)
    running.signal(signal.SIGTERM)
    result = running.wait(40)
    assert (result.code, result.out) == (143, "")
    assert result.err == "s3pp: stopped before anything was done\n"
    assert begun(three) == ["a", "b", "c"]


def test_a_store_that_says_no_such_key_of_an_upload_that_is_gone(
    s3pp: Run, moto_bucket: Bucket, recorder: MakeRecorder
) -> None:
    """As Ceph's gateway does, to the look whether a part arrived after the abort."""

    def as_ceph(request: Request, answer: Answer) -> Answer:
        return error(404, "NoSuchKey") if b"NoSuchUpload" in answer.body else answer

    begin(moto_bucket, "a", 1)
    between = recorder(moto_bucket.store, rewrite=as_ceph)
    result = s3pp("clean", *ALL, moto_bucket.url, store=between.store)
    assert (result.code, result.err, summary(result)["done"]) == (0, "", "1")
    assert begun(moto_bucket) == []
