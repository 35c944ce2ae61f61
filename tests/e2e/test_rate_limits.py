"""``--max-requests`` and ``--max-bandwidth``: what a store sees of a limited run.

That a limit holds within 5% is tested in virtual time, in ``tests/unit/s3/test_quotas.py``: here a
slow machine may make a run slower still, and only too fast is wrong.
"""

from __future__ import annotations

import threading
import time

from commands import Run, Start
from conftest import MakeRecorder, Tree
from faults.killers import kill
from stores.relay import Answer, Request
from stores.store import Bucket, Store

MIB = 1 << 20


class Meter:
    """Notes when a request has arrived whole; ``reached`` is set at a count."""

    def __init__(self, count: int = 0) -> None:
        self._began = time.monotonic()
        self.times: list[float] = []
        self.reached = threading.Event()
        self._count = count
        self._lock = threading.Lock()

    def __call__(self, _: Request) -> Answer | None:
        with self._lock:
            self.times.append(time.monotonic())
            if len(self.times) == self._count:
                self.reached.set()
        return None

    def most_allowed(self, rate: float) -> float:
        """How many requests a limit would have allowed, from when this was made.

        Not from the first request on: it may be seen late.
        """
        return 1.05 * rate * (self.times[-1] - self._began)


def test_requests_of_all_processes_are_limited_also_when_one_dies(
    s3pp_start: Start, recorder: MakeRecorder, moto: Store, moto_bucket: Bucket, tree: Tree
) -> None:
    files = {f"f{number:03}": b"body" for number in range(120)}
    source = tree(files)
    meter = Meter(30)
    through = recorder(moto, intercept=meter)
    words = ("--max-requests=40", "--processes=3", "--mode=stupid", source, moto_bucket.url)
    running = s3pp_start("put", *words, store=through.store)
    assert meter.reached.wait(60)
    kill(next(pid for name, pid in running.children().items() if "putter" in name))
    result = running.wait()
    assert (result.code, result.counts.done) == (0, 120)
    assert "replaced, and its tasks are repeated" in result.err
    assert moto_bucket.tree() == files
    assert len(meter.times) <= meter.most_allowed(40)


def test_bodies_are_limited_whole_and_in_parts_in_both_directions(
    s3pp: Run, recorder: MakeRecorder, moto: Store, moto_bucket: Bucket, tree: Tree
) -> None:
    files = {"large": bytes(10 * MIB), "small": bytes(MIB)}
    source = tree(files)
    through = recorder(moto)
    limits = ("--max-bandwidth=12M", "--processes=2")
    parts = ("--part-size=5M", "--multipart-threshold=5M")
    for words in (
        ("put", *limits, *parts, source, moto_bucket.url),
        ("get", *limits, *parts, moto_bucket.url, "got"),
    ):
        began = time.monotonic()
        result = s3pp(*words, store=through.store)
        assert (result.code, result.counts.done) == (0, 2), result.err
        assert time.monotonic() - began >= 11 / 12 / 1.05
    assert moto_bucket.tree() == files
    assert tree.read(source.parent / "got") == files


def test_a_slow_transfer_of_many_objects_is_not_taken_for_a_dead_peer(
    s3pp: Run, recorder: MakeRecorder, moto: Store, moto_bucket: Bucket, tree: Tree
) -> None:
    """Most bodies wait for longer than the read timeout, which is long for one that moves."""
    files = {f"f{number}": bytes(20_000) for number in range(10)}
    source = tree(files)
    through = recorder(moto)
    limits = ("--max-bandwidth=50k", "--processes=4", "--read-timeout=2", "--max-attempts=1")
    for words in (("put", source, moto_bucket.url), ("get", moto_bucket.url, "got")):
        began = time.monotonic()
        result = s3pp(*words, *limits, store=through.store)
        assert (result.code, result.counts.done) == (0, 10), result.err
        assert time.monotonic() - began >= 200_000 / 51_200 / 1.05
    assert moto_bucket.tree() == files
    assert tree.read(source.parent / "got") == files


def test_verbs_that_have_one_process_are_limited_too(
    s3pp: Run, recorder: MakeRecorder, moto: Store, moto_bucket: Bucket
) -> None:
    for number in range(8):
        moto_bucket.client.create_multipart_upload(Bucket=moto_bucket.name, Key=f"k{number}")
    meter = Meter()
    through = recorder(moto, intercept=meter)
    options = ("--max-requests=10", "--older-than=0s")
    result = s3pp("clean", *options, moto_bucket.url, store=through.store)
    assert result.code == 0, result.err
    assert len(meter.times) >= 16
    assert len(meter.times) <= meter.most_allowed(10) + 2  # those that find the bucket

    moto_bucket.put("stream", bytes(200_000))
    for words, stdin in (
        (("get", f"{moto_bucket.url}/stream", "-"), None),
        (("put", "-", f"{moto_bucket.url}/again"), bytes(200_000)),
    ):
        began = time.monotonic()
        streamed = s3pp(*words, "--max-bandwidth=200k", store=moto, stdin=stdin)
        assert streamed.code == 0, streamed.err
        assert time.monotonic() - began >= 200_000 / 204_800 / 1.05
    assert moto_bucket.tree()["again"] == bytes(200_000)


def test_a_proxy_changes_nothing(
    s3pp: Run, recorder: MakeRecorder, moto: Store, moto_bucket: Bucket, tree: Tree
) -> None:
    source = tree({"a": bytes(2 * MIB)})
    proxy = {"http_proxy": recorder(moto).url}
    for words in (("put", source, moto_bucket.url), ("get", moto_bucket.url, "got")):
        began = time.monotonic()
        result = s3pp(*words, "--max-bandwidth=3M", store=moto, env=proxy)
        assert (result.code, result.counts.done) == (0, 1), result.err
        assert time.monotonic() - began >= 2 / 3 / 1.05
    assert tree.read(source.parent / "got") == {"a": bytes(2 * MIB)}


def test_off_is_no_limit(s3pp: Run, moto: Store, moto_bucket: Bucket, tree: Tree) -> None:
    limits = ("--max-requests=00:00,off", "--max-bandwidth=off")
    result = s3pp("put", *limits, tree({"a": b"a"}), moto_bucket.url, store=moto)
    assert (result.code, result.counts.done) == (0, 1)
