"""Copies in parts, and what goes wrong between them. Rows 10-12, 16-18, 21, 45 and 47 of a copy."""

from __future__ import annotations

import os
import pty
import re
import resource
import signal
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from commands import Running
from faults.accounting import Ending
from faults.trials import CopyTrial
from stores.fault_actions import (
    Action,
    Call,
    FlipBit,
    Gate,
    LoseResponse,
    Request,
    Response,
    Rewrite,
    Say,
    SetHeaders,
    Status,
    Truncate,
    error,
    flipped,
)
from stores.fault_proxy import FaultProxy, Rule
from stores.store import Bucket, Store
from trees import content

MIB = 1 << 20
PARTS = ["--part-size=5M", "--multipart-threshold=5M"]
BODY = content(11 * MIB + 7)
LONG = content(31 * MIB)
OTHER = content(11 * MIB + 8)
XML = (("Content-Type", "application/xml"),)
BEGIN, PART, END = "uploads", "partNumber=", r"\?uploadId="


def late(code: str) -> Action:
    """An error after a status of 200."""
    return Say(Response(200, XML, b"\n \n" + error(500, code).body))


def put(bucket: Bucket, body: bytes = BODY, key: str = "large") -> str:
    """Send an object in parts of 5 MiB; return its ETag."""
    pieces = [body[at : at + 5 * MIB] for at in range(0, len(body), 5 * MIB)]
    return bucket.put_multipart(key, *pieces)


def unfinished(bucket: Bucket) -> list[Any]:
    found = bucket.client.list_multipart_uploads(Bucket=bucket.name)
    return list(found.get("Uploads", []))


def check_copied(trial: CopyTrial, end: Ending, body: bytes = BODY) -> None:
    """The object is there, with its source's ETag, and no upload is left."""
    assert (end.code, set(end.done)) == (0, {"large"}), (end.kinds, end.result.err)
    assert trial.dest.tree() == {"large": body}
    assert trial.dest.head("large")["ETag"] == trial.bucket.head("large")["ETag"]
    assert unfinished(trial.dest) == []


def check_failed(trial: CopyTrial, end: Ending, kind: str) -> None:
    assert (end.code, end.kinds) == (1, {"large": kind})
    assert trial.dest.tree() == {}
    assert unfinished(trial.dest) == []


def begun(trial: CopyTrial) -> int:
    return len(trial.proxy.hits("POST", BEGIN))


@pytest.mark.parametrize("mode", ["update", "add"])
def test_an_error_in_an_answer_of_200_is_an_error(copy_trial: CopyTrial, mode: str) -> None:
    put(copy_trial.bucket)
    copy_trial.inject(
        Rule(late("InternalError"), "PUT", f"{PART}1&", times=2),
        Rule(late("SlowDown"), "PUT", f"{PART}2&", times=1),
        Rule(Say(Response(200, XML, b"\n\n")), "PUT", f"{PART}3&", times=1),
        Rule(late("InternalError"), "POST", END, times=1),
    )
    check_copied(copy_trial, copy_trial.run(*PARTS, f"--mode={mode}"))
    assert (len(copy_trial.proxy.hits("PUT", PART)), begun(copy_trial)) == (7, 1)


@pytest.mark.parametrize(("method", "target"), [("PUT", f"{PART}2&"), ("POST", END)])
def test_errors_for_ever_fail_the_object(moto_copy: CopyTrial, method: str, target: str) -> None:
    put(moto_copy.bucket)
    moto_copy.inject(Rule(late("InternalError"), method, target))
    check_failed(moto_copy, moto_copy.run(*PARTS), "store")


@pytest.mark.parametrize("mode", ["update", "add"])
def test_a_completion_whose_answer_was_lost(copy_trial: CopyTrial, mode: str) -> None:
    put(copy_trial.bucket)
    copy_trial.inject(Rule(LoseResponse(), "POST", END, times=1))
    check_copied(copy_trial, copy_trial.run(*PARTS, f"--mode={mode}"))
    assert begun(copy_trial) == 1


def test_parts_whose_answers_were_lost(moto_copy: CopyTrial) -> None:
    put(moto_copy.bucket)
    moto_copy.inject(Rule(LoseResponse(), "PUT", PART, times=2))
    check_copied(moto_copy, moto_copy.run(*PARTS))


def test_a_conflict_at_the_end_begins_anew(moto_copy: CopyTrial) -> None:
    put(moto_copy.bucket)
    moto_copy.inject(Rule(Status(409, "ConditionalRequestConflict"), "POST", END, times=1))
    check_copied(moto_copy, moto_copy.run(*PARTS, "--mode=add"))
    assert begun(moto_copy) == 2


@pytest.mark.swift
def test_an_upload_that_somebody_aborts_is_begun_anew(swift_copy: CopyTrial) -> None:
    put(swift_copy.bucket)
    client, name = swift_copy.dest.client, swift_copy.dest.name

    def abort(request: Request) -> None:
        for upload in unfinished(swift_copy.dest):
            client.abort_multipart_upload(
                Bucket=name, Key=upload["Key"], UploadId=upload["UploadId"]
            )

    swift_copy.inject(Rule(Call(abort), "POST", END, times=1))
    check_copied(swift_copy, swift_copy.run(*PARTS))
    assert begun(swift_copy) == 2


def test_somebody_elses_upload_is_never_touched(moto_copy: CopyTrial) -> None:
    put(moto_copy.bucket)
    at = {"Bucket": moto_copy.dest.name, "Key": "large"}
    theirs = moto_copy.dest.client.create_multipart_upload(**at)["UploadId"]
    assert moto_copy.run(*PARTS).code == 0
    assert [each["UploadId"] for each in unfinished(moto_copy.dest)] == [theirs]


def test_a_store_that_copies_no_parts_copies_the_whole(moto_copy: CopyTrial) -> None:
    put(moto_copy.bucket)
    moto_copy.inject(Rule(Status(501, "NotImplemented"), "PUT", PART))
    end = moto_copy.run(*PARTS)
    assert (end.code, moto_copy.dest.tree()) == (0, {"large": BODY})
    assert unfinished(moto_copy.dest) == []


def test_where_copied_parts_have_no_md5s_objects_are_copied_whole(moto_copy: CopyTrial) -> None:
    """As on SeaweedFS, whose CopyObject keeps the ETag. One object finds out, and all go whole."""
    for key in ("a", "b", "large"):
        put(moto_copy.bucket, key=key)
    mark = re.compile(rb"((&quot;|\")</ETag>)")
    moto_copy.inject(Rule(Rewrite(lambda body: mark.sub(rb"-2\1", body)), "PUT", PART))
    end = moto_copy.run(*PARTS, "--processes=1", "--concurrency=1")
    assert (end.code, moto_copy.dest.tree()) == (0, dict.fromkeys(("a", "b", "large"), BODY))
    assert end.result.err.count("ETags that are not MD5s") == 1
    assert (len(moto_copy.proxy.hits("PUT", PART)), unfinished(moto_copy.dest)) == (3, [])


# Sources that change


def replaced(trial: CopyTrial, times: int = 1) -> Call:
    """The source becomes another object with the same number of parts."""
    count = iter(range(1000))

    def replace(request: Request) -> None:
        if (nth := next(count)) < times:
            put(trial.bucket, OTHER[:-1] + bytes([nth % 256]) if nth else OTHER)

    return Call(replace)


def test_a_source_replaced_between_parts_is_never_mixed(copy_trial: CopyTrial) -> None:
    put(copy_trial.bucket)
    copy_trial.inject(Rule(replaced(copy_trial), "PUT", f"{PART}2&", times=1))
    check_copied(copy_trial, copy_trial.run(*PARTS), OTHER)


@pytest.mark.parametrize("gone", [False, True], ids=["replaced", "deleted"])
def test_a_source_that_changes_under_a_streamed_copy(moto_through: CopyTrial, gone: bool) -> None:
    put(moto_through.bucket)
    bucket = moto_through.bucket

    def delete(request: Request) -> None:
        bucket.client.delete_object(Bucket=bucket.name, Key="large")

    change = Call(delete) if gone else replaced(moto_through)
    assert moto_through.source_proxy
    moto_through.source_proxy.inject(Rule(change, "GET", "/large$", times=1))
    end = moto_through.run(*PARTS)
    if gone:
        check_failed(moto_through, end, "not-found")
    else:
        check_copied(moto_through, end, OTHER)


@pytest.mark.swift
@pytest.mark.thorough
def test_a_source_that_never_stops_changing_fails(swift_copy: CopyTrial) -> None:
    put(swift_copy.bucket)
    swift_copy.inject(Rule(replaced(swift_copy, 1000), "PUT", f"{PART}2&"))
    check_failed(swift_copy, swift_copy.run(*PARTS), "changed")


# Through this machine

FAULTS: dict[str, tuple[Action, str]] = {
    "flipped": (Rewrite(flipped), "integrity"),
    "shorter": (Rewrite(lambda body: body[:-1]), "integrity"),
    "cut": (Truncate(), "network"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_part_that_did_not_come_whole_is_asked_for_again(
    moto_through: CopyTrial, fault: str
) -> None:
    put(moto_through.bucket)
    assert moto_through.source_proxy
    moto_through.source_proxy.inject(Rule(FAULTS[fault][0], "GET", "/large$", times=1))
    check_copied(moto_through, moto_through.run(*PARTS))


@pytest.mark.parametrize("fault", FAULTS)
def test_what_never_comes_whole_gets_no_name(moto_through: CopyTrial, fault: str) -> None:
    put(moto_through.bucket)
    action, kind = FAULTS[fault]
    assert moto_through.source_proxy
    moto_through.source_proxy.inject(Rule(action, "GET", "/large$"))
    end = moto_through.run(*PARTS, "--max-attempts=1", "--no-resume")
    check_failed(moto_through, end, kind)


@pytest.mark.swift
def test_a_store_that_checks_refuses_a_part_that_was_flipped(
    make_proxy: Callable[[Store], FaultProxy], swift_copy: CopyTrial
) -> None:
    swift_copy.source_proxy = make_proxy(swift_copy.bucket.store)
    put(swift_copy.bucket)
    swift_copy.inject(Rule(FlipBit(), "PUT", PART, times=2))
    check_copied(swift_copy, swift_copy.run(*PARTS))


# What passes through temporary files


def test_a_limit_on_the_size_of_files_fails_the_object(moto_through: CopyTrial) -> None:
    put(moto_through.bucket)
    moto_through.bucket.put("small", b"1")

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (MIB // 2, MIB // 2))

    end = moto_through.run(*PARTS, preexec_fn=limit)
    assert (end.code, end.kinds, set(end.done)) == (1, {"large": "too-large"}, {"small"})
    assert f"limited to {MIB // 2} bytes (ulimit -f): raise that limit" in end.result.err
    assert "TMPDIR" not in end.result.err
    assert unfinished(moto_through.dest) == []


def test_a_place_without_room_ends_the_run(moto_through: CopyTrial, tmp_path: Path) -> None:
    put(moto_through.bucket)
    place = tmp_path / "small"
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=1m", "s3pp-test", str(place)]
    if subprocess.run(command, capture_output=True).returncode:
        pytest.skip("only root can mount a small file system")
    try:
        end = moto_through.run(*PARTS, env={"TMPDIR": str(place)})
    finally:
        subprocess.run(["umount", str(place)], check=True)
    assert end.code == 3
    assert f"{place} cannot hold temporary files (No space left" in end.result.err
    assert "stay" not in end.result.err
    assert unfinished(moto_through.dest) == []


# Processes and signals


def copiers(running: Running) -> list[int]:
    return [pid for name, pid in running.children().items() if name.startswith("s3pp: copier")]


def kill_copiers(running: Running) -> None:
    """Kill all at once: the supervisor must not give the object of one to the next meanwhile."""
    os.kill(running.pid, signal.SIGSTOP)
    pids = copiers(running)
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    deadline = time.monotonic() + 20
    while not all(is_dead(pid) for pid in pids):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    os.kill(running.pid, signal.SIGCONT)


def is_dead(pid: int) -> bool:
    """Whether a child of a stopped process has ended."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"


@pytest.fixture(params=["by the store", "streamed"])
def either(request: pytest.FixtureRequest) -> CopyTrial:
    """A copy by the store, or through this machine."""
    name = "moto_copy" if request.param == "by the store" else "moto_through"
    trial: CopyTrial = request.getfixturevalue(name)
    return trial


def test_killed_copiers_cost_nothing(either: CopyTrial) -> None:
    put(either.bucket)
    gate = Gate()
    either.inject(Rule(gate, "PUT", PART))
    running = either.start(*PARTS)
    either.proxy.wait_for(2)
    kill_copiers(running)
    gate.open()
    check_copied(either, either.end(running))  # no upload is left, either


@pytest.mark.parametrize("arrived", [1, 0])
def test_where_the_lead_of_a_copy_dies_its_upload_is_aborted(
    moto_copy: CopyTrial, arrived: int
) -> None:
    """By the store: which copier leads nobody knows, so that both are killed, and the new ones."""
    put(moto_copy.bucket, LONG)
    gate = Gate()
    moto_copy.inject(Rule(gate, "PUT", PART, skip=arrived))
    running = moto_copy.start(*PARTS)
    for times in (1, 2):
        moto_copy.proxy.wait_for(7 * times - (times > 1) * arrived)
        kill_copiers(running)
    gate.open()
    end = moto_copy.end(running)
    check_copied(moto_copy, end, LONG)
    assert begun(moto_copy) == 3


def test_what_a_killed_run_left_is_aborted_by_the_next(moto_copy: CopyTrial) -> None:
    """As far as its parts show whose it is: others are left alone, and what has no parts."""
    put(moto_copy.bucket, LONG)
    moto_copy.inject(Rule(Gate(), "PUT", PART, skip=2))
    for times in (1, 2):
        running = moto_copy.start(*PARTS)
        moto_copy.proxy.wait_for(3 * times)
        wait_until_parts(moto_copy.dest, times)
        running.kill()
        moto_copy.inject(Rule(Gate(), "PUT", PART, skip=2))
    assert len(unfinished(moto_copy.dest)) == 2
    at = {"Bucket": moto_copy.dest.name, "Key": "large"}
    client = moto_copy.dest.client
    theirs = [client.create_multipart_upload(**at)["UploadId"] for _ in range(2)]
    for number, body in ((1, LONG[: 5 * MIB]), (2, OTHER[: 5 * MIB])):
        client.upload_part(**at, UploadId=theirs[0], PartNumber=number, Body=body)
    moto_copy.inject()
    end = moto_copy.run(*PARTS)
    assert (end.code, moto_copy.dest.tree()) == (0, {"large": LONG})
    assert {each["UploadId"] for each in unfinished(moto_copy.dest)} == set(theirs)


def wait_until_parts(bucket: Bucket, uploads: int) -> None:
    """Until so many unfinished uploads have two parts each."""
    deadline = time.monotonic() + 40
    while (there := sorted(counts(bucket))) != [2] * uploads:
        assert time.monotonic() < deadline, there
        time.sleep(0.02)


def counts(bucket: Bucket) -> list[int]:
    at = {"Bucket": bucket.name, "Key": "large"}
    return [
        len(bucket.client.list_parts(**at, UploadId=each["UploadId"]).get("Parts", []))
        for each in unfinished(bucket)
    ]


def test_an_interrupt_leaves_what_can_be_gone_on_with(either: CopyTrial) -> None:
    put(either.bucket, LONG)
    gate = Gate()
    either.inject(Rule(gate, "PUT", PART, skip=1))
    running = either.start(*PARTS, "--concurrency=2")
    either.proxy.wait_for(2)
    running.signal(signal.SIGINT)
    gate.open()
    end = either.end(running, 20)
    assert (end.code, either.dest.tree()) == (130, {})
    assert len(unfinished(either.dest)) == (either.source_proxy is not None)


def test_progress_shows_the_parts_of_what_is_not_done(either: CopyTrial) -> None:
    put(either.bucket, LONG)
    gate = Gate()
    either.inject(Rule(gate, "PUT", PART, skip=3))
    near, far = pty.openpty()
    env = {"TERM": "xterm"}
    running = either.start(*PARTS, "--concurrency=2", "--progress", stderr=far, env=env)
    os.close(far)
    shown = b""
    while b"0 of 1 objects, 15.0 of " not in shown:
        shown += os.read(near, 4096)
    gate.open()
    with suppress(OSError):  # Linux says EIO when the last writer is gone
        while os.read(near, 4096):
            pass
    os.close(near)
    check_copied(either, either.end(running), LONG)


def there(bucket: Bucket) -> set[int]:
    """The parts that the store has of the one upload that is unfinished; none: there is none."""
    numbers: set[int] = set()
    at = {"Bucket": bucket.name, "Key": "large"}
    for upload in unfinished(bucket):
        assert not numbers, "a second upload was begun"
        told = bucket.client.list_parts(**at, UploadId=upload["UploadId"]).get("Parts", [])
        numbers |= {part["PartNumber"] for part in told}
    return numbers


@pytest.mark.parametrize("times", [1, 5])
def test_a_run_that_was_killed_is_gone_on_with(moto_through: CopyTrial, times: int) -> None:
    """No part that the store has acknowledged is sent again."""
    put(moto_through.bucket, LONG)
    acknowledged: set[int] = set()
    for _ in range(times):
        before = sent(moto_through)
        moto_through.inject(Rule(Gate(), "PUT", PART, skip=1))
        running = moto_through.start(*PARTS)
        wait_for_more(moto_through.dest, len(acknowledged))
        running.kill()
        check_not_sent(moto_through, acknowledged, before)
        acknowledged = there(moto_through.dest)
    before = sent(moto_through)
    moto_through.inject()
    check_copied(moto_through, moto_through.run(*PARTS), LONG)
    check_not_sent(moto_through, acknowledged, before)


def test_with_another_checksum_the_etag_is_still_compared(moto_through: CopyTrial) -> None:
    """The store does not look at the checksum, nor tells it again."""
    put(moto_through.bucket)
    moto_through.inject(Rule(FlipBit(), "PUT", "partNumber=2&", times=1))
    check_copied(moto_through, moto_through.run(*PARTS, "--checksum=crc32"))
    assert sent(moto_through) == 4


@pytest.mark.parametrize("fault", ["denied", "metadata of its own"])
def test_one_that_is_gone_on_with_need_not_be_looked_at(
    moto_through: CopyTrial, fault: str
) -> None:
    """What is complete has not failed because nobody may ask for its headers."""
    put(moto_through.bucket)
    upload = moto_through.dest.client.create_multipart_upload(
        Bucket=moto_through.dest.name, Key="large"
    )
    at = {"Bucket": moto_through.dest.name, "Key": "large", "UploadId": upload["UploadId"]}
    moto_through.dest.client.upload_part(**at, PartNumber=1, Body=BODY[: 5 * MIB])
    action: Action = Status(403, "AccessDenied")
    if fault != "denied":
        action = SetHeaders((("x-amz-meta-mtime", "1"),))
    moto_through.inject(Rule(action, "HEAD", "/large$"))
    end = moto_through.run(*PARTS)
    check_copied(moto_through, end)
    assert sent(moto_through) == 2
    assert "1 of 3 parts exist already" in end.result.err


def sent(trial: CopyTrial) -> int:
    return len(trial.proxy.hits("PUT", PART))


def wait_for_more(bucket: Bucket, parts: int) -> None:
    deadline = time.monotonic() + 40
    while len(there(bucket)) <= parts:
        assert time.monotonic() < deadline
        time.sleep(0.02)


def check_not_sent(trial: CopyTrial, acknowledged: set[int], before: int) -> None:
    again = [hit.request.path for hit in trial.proxy.hits("PUT", PART)[before:]]
    numbers = {int(path.partition(PART)[2].partition("&")[0]) for path in again}
    assert not numbers & acknowledged
