"""Faults while standard input is sent: nothing can be read a second time."""

from __future__ import annotations

import os
import signal
import subprocess

import pytest

from faults.accounting import Ending, check_all_done
from faults.large import PART, SIZE, SMALL_PARTS, compound, sent, uploads
from faults.test_signals import wait_until_heard
from faults.trials import StreamTrial
from stores.fault_actions import Call, FlipBit, Gate, LoseResponse, Reset, Status
from stores.fault_proxy import Rule

COMPLETE = ("POST", "uploadId=")
LARGE = os.urandom(SIZE)


def put(trial: StreamTrial, *options: str) -> Ending:
    trial.content = trial.content or LARGE
    return trial.run(*SMALL_PARTS, *options)


def check_nothing_left(trial: StreamTrial) -> None:
    assert trial.bucket.keys() == []
    assert uploads(trial.bucket) == set()


def test_parts_are_sent_again_from_memory(stream_trial: StreamTrial) -> None:
    stream_trial.inject(
        Rule(Status(503, "SlowDown"), "PUT", "partNumber=1&", times=2),
        Rule(Reset(), "PUT", "partNumber=2&", times=1),
        Rule(LoseResponse(), "PUT", "partNumber=3&", times=1),
        Rule(FlipBit(), "PUT", "partNumber=4&", times=1),
        Rule(LoseResponse(), *COMPLETE, times=1),
    )
    end = put(stream_trial, "--checksum=crc32")
    check_all_done(end, stream_trial.bucket, {"k": LARGE})
    assert sent(stream_trial) == [1, 1, 1, 2, 2, 3, 3, 4, 4]
    assert end.done["k"]["etag"] == compound(LARGE)
    assert uploads(stream_trial.bucket) == set()


def test_what_fits_in_one_request_is_too(stream_trial: StreamTrial) -> None:
    stream_trial.content = b"x" * 300_000
    stream_trial.inject(
        Rule(Status(503, "SlowDown"), "PUT", times=1), Rule(FlipBit(), "PUT", times=1)
    )
    check_all_done(stream_trial.run(), stream_trial.bucket, {"k": stream_trial.content})


def test_a_part_that_is_refused_ends_the_upload_and_leaves_nothing(
    moto_stream: StreamTrial,
) -> None:
    moto_stream.inject(Rule(Status(400, "InvalidArgument"), "PUT", "partNumber=2&"))
    end = put(moto_stream)
    assert (end.code, end.kinds) == (1, {"k": "rejected"})
    assert end.result.err.startswith("s3pp: put - -> s3://")
    assert "/k: part 2: InvalidArgument" in end.result.err
    check_nothing_left(moto_stream)


def test_it_is_said_where_its_parts_stay(moto_stream: StreamTrial) -> None:
    moto_stream.inject(
        Rule(Status(400, "InvalidArgument"), "PUT", "partNumber=2&"),
        Rule(Status(403, "AccessDenied"), "DELETE"),
    )
    end = put(moto_stream)
    assert end.result.err.endswith("its parts stay in the store (s3pp clean removes them)\n")
    assert len(uploads(moto_stream.bucket)) == 1


def test_an_upload_that_somebody_aborts_is_not_begun_again(moto_stream: StreamTrial) -> None:
    moto_stream.inject(Rule(Status(404, "NoSuchUpload"), "PUT", "partNumber=3&"))
    end = put(moto_stream)
    assert (end.code, end.kinds) == (1, {"k": "conflict"})
    assert "another client ended the upload" in end.result.err
    assert "again" not in end.result.err
    assert moto_stream.bucket.keys() == []


def test_mode_add_overwrites_nothing_that_comes_meanwhile(moto_stream: StreamTrial) -> None:
    rule = Rule(Call(lambda _: moto_stream.bucket.put("k", b"theirs")), "PUT", "partNumber=2&")
    moto_stream.inject(rule, Rule(Status(412, "PreconditionFailed"), *COMPLETE))  # moto ignores it
    end = put(moto_stream, "--mode=add")
    assert (end.code, end.reasons) == (0, {"k": "exists"})
    assert moto_stream.bucket.tree() == {"k": b"theirs"}
    assert uploads(moto_stream.bucket) == set()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_aborts_the_upload(moto_stream: StreamTrial, number: signal.Signals) -> None:
    gate = Gate()
    moto_stream.inject(Rule(gate, "PUT", "partNumber=2&"))
    moto_stream.content = LARGE
    running = moto_stream.start(*SMALL_PARTS)
    moto_stream.proxy.wait_for(3)
    running.signal(number)
    wait_until_heard(running)
    end = moto_stream.end(running, 20)
    gate.open()
    assert end.code == 128 + number
    assert end.summary["not_attempted"] == 1
    assert end.result.err.splitlines()[-1].endswith("not finished, and cannot be resumed")
    check_nothing_left(moto_stream)


def test_a_second_signal_stops_at_once_and_says_what_stays(moto_stream: StreamTrial) -> None:
    gate = Gate()
    moto_stream.inject(Rule(gate, "PUT", "partNumber=2&"), Rule(gate, "DELETE"))
    moto_stream.content = LARGE
    running = moto_stream.start(*SMALL_PARTS)
    moto_stream.proxy.wait_for(3)
    running.signal(signal.SIGINT)
    moto_stream.proxy.wait_for(1, "DELETE")
    running.signal(signal.SIGINT)
    end = moto_stream.end(running, 20)
    gate.open()
    assert end.code == 130
    assert "its parts stay in the store" in end.result.err.splitlines()[-1]


def test_what_is_read_already_is_finished_after_a_signal(moto_stream: StreamTrial) -> None:
    gate = Gate()
    moto_stream.inject(Rule(gate, "PUT"))
    moto_stream.content = b"small"
    running = moto_stream.start()
    moto_stream.proxy.wait_for(1)
    running.signal(signal.SIGINT)
    wait_until_heard(running)
    gate.open()
    end = moto_stream.end(running, 20)
    assert (end.code, list(end.done)) == (130, ["k"])


@pytest.mark.parametrize("size", [1000, PART + 1000])
def test_ctrl_c_stores_nothing_of_a_producer_that_it_kills(
    moto_stream: StreamTrial, size: int
) -> None:
    """The terminal interrupts both; the end of the pipe that this makes is not that of the data."""
    script = f"head -c {size} /dev/zero; exec sleep 60"
    with subprocess.Popen(["sh", "-c", script], stdout=subprocess.PIPE) as producer:
        assert producer.stdout is not None
        running = moto_stream.start(*SMALL_PARTS, "--mode=add", stdin=producer.stdout.fileno())
        moto_stream.proxy.wait_for(1, "HEAD" if size < PART else "PUT")
        running.signal(signal.SIGINT)
        producer.kill()
    end = moto_stream.end(running, 20)
    assert (end.code, end.done) == (130, {})
    check_nothing_left(moto_stream)


def test_a_killed_run_stores_nothing_and_the_next_one_removes_its_parts(
    moto_stream: StreamTrial,
) -> None:
    gate = Gate()
    moto_stream.inject(Rule(gate, "PUT", "partNumber=2&"))
    moto_stream.content = LARGE
    running = moto_stream.start(*SMALL_PARTS)
    moto_stream.proxy.wait_for(4)
    running.kill()
    gate.open()
    assert moto_stream.bucket.keys() == []
    moto_stream.inject()
    check_all_done(put(moto_stream), moto_stream.bucket, {"k": LARGE})
    assert uploads(moto_stream.bucket) == set()
