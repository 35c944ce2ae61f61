"""Stores that allow so many requests a second, and answer 503 SlowDown to the rest.

How much is refused is tested in virtual time, in ``tests/unit/s3/test_congestion.py``: here a slow
machine sends its requests later than the store's clock expects them. What is tested is that the
limit is there, whatever the time, and that it costs no object.
"""

from __future__ import annotations

import json
import re
import signal
import threading
import time
from contextlib import suppress
from pathlib import Path

from commands import Run, Start
from conftest import MakeRecorder, Tree
from s3pp.pipeline.shared_pace import SharedPace, read_record
from s3pp.s3.congestion import RateLimit
from stores.relay import Answer, Request, error
from stores.store import Bucket, Store

RATE = 100  # requests per second that the store takes
OBJECTS = 500
FIRST = 8  # requests that are refused in any case: they suffice for a limit
PATIENCE = 60.0  # seconds to wait for what must happen


class Throttle:
    """A token bucket in front of a store: refuses PUTs and GETs of objects beyond the rate."""

    def __init__(self, rate: float, burst: float, *, first: int = 0) -> None:
        """``first``: so many are refused before one is taken, on however slow a machine."""
        self._rate, self._burst, self._first = rate, burst, first
        self._tokens, self._at = burst, time.monotonic()
        self._lock = threading.Lock()  # the relay has a thread for each connection
        self.refused = self.taken = 0

    def __call__(self, request: Request) -> Answer | None:
        if request.of_bucket:
            return None
        with self._lock:
            now = time.monotonic()
            self._tokens = min(self._burst, self._tokens + self._rate * (now - self._at))
            self._at = now
            if self._tokens < 1.0 or self.refused < self._first:
                self.refused += 1
                return error(503, "SlowDown")
            self._tokens -= 1.0
            self.taken += 1
            return None


def test_a_store_that_throttles_costs_no_object(
    s3pp: Run, recorder: MakeRecorder, moto: Store, moto_bucket: Bucket, tree: Tree
) -> None:
    """All arrives, and the user is told why it takes so long."""
    files = {f"f{number:03}": f"body {number}".encode() for number in range(OBJECTS)}
    source = tree(files)
    throttle = Throttle(RATE, RATE / 10, first=FIRST)
    through = recorder(moto, intercept=throttle)
    put = s3pp(
        *("put", "--mode", "stupid", "--progress", source, moto_bucket.url), store=through.store
    )
    assert put.code == 0
    assert put.counts.done == OBJECTS
    assert moto_bucket.tree() == files
    assert put.err.count("the store throttles requests") == 1
    assert "limited to" in put.err
    assert throttle.taken == OBJECTS

    # The same rate again, for the other direction.
    throttle.refused = throttle.taken = 0
    get = s3pp("get", moto_bucket.url, "got", store=through.store)
    assert get.code == 0
    assert tree.read(source.parent / "got") == files
    assert get.err.count("the store throttles requests") == 1
    assert throttle.taken == OBJECTS


class Neighbours:
    """Refuses run ``a`` until both have written a limit; then answers ``b``, never refused."""

    def __init__(self) -> None:
        self.shared = threading.Event()

    def __call__(self, request: Request) -> Answer | None:
        if not request.of_bucket:
            if request.path.split("/")[2] == "b":
                self.shared.wait(PATIENCE)
            elif not self.shared.is_set():
                return error(503, "SlowDown")
        return None


def limits_in(directory: Path) -> list[RateLimit]:
    """The limits in the records of runs, as far as they are in force."""
    found = []
    for path in directory.glob("[!.]*"):
        with suppress(FileNotFoundError):
            record = read_record(path.read_bytes(), time.monotonic())
            if record is not None and record.limit.active(time.monotonic()):
                found.append(record.limit)
    return found


def test_two_runs_share_what_the_store_takes(
    s3pp_start: Start, recorder: MakeRecorder, moto: Store, moto_bucket: Bucket, tree: Tree
) -> None:
    """Who was refused nothing takes over the limit of who was; both end, with all their objects."""
    files = {f"f{number:03}": b"body" for number in range(20)}
    source, neighbours = tree(files), Neighbours()
    through = recorder(moto, intercept=neighbours)
    words = ("put", "--mode=stupid", "--processes=2", source)
    running = [
        s3pp_start(*words, f"{moto_bucket.url}/{name}", store=through.store) for name in "ab"
    ]
    shared, _ = SharedPace.of(f"localhost:{through.port}")
    assert shared is not None
    deadline = time.monotonic() + PATIENCE
    while len(limits := limits_in(Path(shared.directory))) < 2:
        assert time.monotonic() < deadline, limits
        time.sleep(0.02)
    neighbours.shared.set()
    results = [each.wait() for each in running]
    assert [(each.code, each.counts.done) for each in results] == [(0, 20), (0, 20)]
    assert moto_bucket.tree() == {
        f"{run}/{key}": body for run in "ab" for key, body in files.items()
    }
    assert not Path(shared.directory).exists()


class Partition:
    """Refuses what is below a prefix until told otherwise; takes 100 other objects a second."""

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix
        self._lock = threading.Lock()
        self.told = threading.Event()

    def __call__(self, request: Request) -> Answer | None:
        if request.of_bucket:
            return None
        if request.path.split("/", 2)[2].startswith(self._prefix):
            return None if self.told.is_set() else error(503, "SlowDown")
        with self._lock:
            time.sleep(0.01)
        return None


def test_a_prefix_that_the_store_limits_is_named_and_others_go_on(
    s3pp_start: Start, recorder: MakeRecorder, moto: Store, moto_bucket: Bucket, tree: Tree
) -> None:
    files = {f"hot/f{number:03}": b"body" for number in range(20)}
    others = {f"z/f{number:03}": b"body" for number in range(200)}
    source, partition = tree(files | others), Partition("hot/")
    through = recorder(moto, intercept=partition)
    words = ("put", "--mode=stupid", "--processes=2", source, moto_bucket.url)
    running = s3pp_start(*words, store=through.store)
    notice = f"s3://{moto_bucket.name}/hot/ throttles requests: those below it are sent as fast"
    deadline = time.monotonic() + PATIENCE
    while notice not in running.err():
        assert time.monotonic() < deadline, running.err()
        time.sleep(0.02)
    while len(moto_bucket.tree()) < len(others):  # none of them waits for the prefix
        assert time.monotonic() < deadline, running.err()
        time.sleep(0.1)
    partition.told.set()
    result = running.wait()
    assert (result.code, result.counts.done) == (0, 220)
    assert moto_bucket.tree() == files | others
    assert result.err.count(notice) == 1


def test_a_store_that_takes_nothing_ends_the_run_in_bounded_time(
    s3pp: Run, recorder: MakeRecorder, moto: Store, moto_bucket: Bucket, tree: Tree
) -> None:
    """Not each object by itself, at the one request a second that is left of the rate."""
    source = tree({f"f{number:03}": b"body" for number in range(OBJECTS)})
    throttle = Throttle(0.0, 0.0)
    through = recorder(moto, intercept=throttle)
    options = ("--max-attempts=1", "--max-throttled=3", "--concurrency=128", "--journal=j")
    began = time.monotonic()
    result = s3pp("put", *options, source, moto_bucket.url, store=through.store)
    assert time.monotonic() - began < OBJECTS / 4  # each by itself would take a second
    assert result.code == 3
    notice, end = result.err.splitlines()
    assert "the store throttles requests" in notice
    assert re.fullmatch(
        f"s3pp: {through.url}: SlowDown: made up \\(throttled for \\d+ s in which no request"
        " succeeded, and the rest is not tried: see --max-throttled\\)",
        end,
    )
    failed, untried = result.counts.failed, int(re.findall(r"(\d+) not attempted", result.out)[0])
    assert failed > 0
    assert untried > 0
    assert failed + untried == OBJECTS
    records = map(json.loads, (source.parent / "j").read_text().splitlines())
    ended = [each for each in records if each["event"] == "failed"]
    assert len({each["source"] for each in ended}) == len(ended) == failed
    assert {(each["kind"], each["code"]) for each in ended} == {("store", "SlowDown")}
    assert moto_bucket.tree() == {}


def test_a_store_that_takes_a_request_now_and_then_is_asked_on(
    s3pp: Run, recorder: MakeRecorder, moto: Store, moto_bucket: Bucket, tree: Tree
) -> None:
    """What one worker has accepted keeps the others going: no object fails."""
    source = tree(dict.fromkeys("abcd", b"body"))
    through = recorder(moto, intercept=Throttle(1.0, 1.0))
    options = ("--mode=stupid", "--max-throttled=15", "--processes=4")
    result = s3pp("put", *options, source, moto_bucket.url, store=through.store)
    assert (result.code, result.counts.done) == (0, 4)


def refuse_all(_: Request) -> Answer:
    return error(503, "SlowDown")


def refuse_pages(request: Request) -> Answer | None:
    """The probe passes, which lists one key."""
    page = "list-type=2" in request.target and "max-keys=1" not in request.target
    return error(503, "SlowDown") if page else None


def test_the_bound_is_the_same_for_the_first_request_listings_and_clean(
    s3pp_start: Start, recorder: MakeRecorder, moto: Store, moto_bucket: Bucket, tree: Tree
) -> None:
    """Whatever asks: attempts do not count, and what the run waits for is said after a moment."""
    source = tree({"a": b"a"})
    commands = {
        "list": (refuse_all, ("list", moto_bucket.url)),
        "clean": (refuse_all, ("clean", moto_bucket.url)),
        "put": (refuse_all, ("put", source, moto_bucket.url)),
        "walker": (refuse_pages, ("put", source, moto_bucket.url)),
    }
    relays = {name: recorder(moto, intercept=refusal) for name, (refusal, _) in commands.items()}
    began = time.monotonic()
    running = {
        name: s3pp_start(*words, "--max-attempts=1", "--max-throttled=3", store=relays[name].store)
        for name, (_, words) in commands.items()
    }
    for name, each in running.items():
        result = each.wait()
        told, *others, end = result.err.splitlines()
        assert (result.code, others) == (3, []), name
        assert f"{relays[name].url} throttles requests (SlowDown: made up)" in told
        assert "(--max-throttled)" in told
        assert re.search(r"SlowDown: made up \(throttled for \d+ s in which no request suc", end)
        assert "--max-throttled" in end
        assert 2 < len(relays[name].requests) < 20
    assert time.monotonic() - began < 2 * PATIENCE
    assert moto_bucket.tree() == {}


def test_a_copy_waits_once(
    s3pp: Run, recorder: MakeRecorder, moto: Store, moto_bucket: Bucket
) -> None:
    """The object of the source's own name is asked for beside the others, not before them."""
    for key in ("x/a", "x/b"):
        moto_bucket.put(key, b"1")
    through = recorder(moto, intercept=lambda each: None if each.of_bucket else refuse_all(each))
    words = ("--max-throttled=3", f"{moto_bucket.url}/x", f"{moto_bucket.url}/y")
    result = s3pp("copy", *words, store=through.store)
    assert (result.code, result.counts.failed) == (3, 2)
    beside = [n for n, each in enumerate(through.requests) if each.path.endswith("/x")]
    objects = [n for n, each in enumerate(through.requests) if "/y/" in each.path]
    assert min(objects) < max(beside)


def test_a_run_that_is_stopped_while_it_lists_says_that_more_may_be_there(
    s3pp_start: Start, recorder: MakeRecorder, moto: Store, moto_bucket: Bucket, tree: Tree
) -> None:
    source, through = tree({"a": b"a"}), recorder(moto, intercept=refuse_pages)
    words = ("--json", "--journal=j", "--max-throttled=60")
    running = s3pp_start("put", *words, source, moto_bucket.url, store=through.store)
    deadline = time.monotonic() + PATIENCE
    while "throttles requests" not in running.err():
        assert time.monotonic() < deadline, "no word about the wait"
        time.sleep(0.01)
    running.signal(signal.SIGINT)
    result = running.wait()
    assert result.code == 130
    journal = (source.parent / "j").read_text().splitlines()
    for line in (result.summary, journal[-1]):
        event = json.loads(line)
        assert (event["event"], event["done"], event["listing_complete"]) == ("summary", 0, False)


def test_the_first_request_is_throttled_for_a_while(
    s3pp: Run, recorder: MakeRecorder, moto: Store, moto_bucket: Bucket, tree: Tree
) -> None:
    refused: list[Request] = []  # the first by a plain session, which hands over to botocore

    def refuse_first(request: Request) -> Answer | None:
        refused.append(request)
        return error(503, "SlowDown", ("Retry-After", "1")) if len(refused) < 4 else None

    through = recorder(moto, intercept=refuse_first)
    began = time.monotonic()
    result = s3pp(
        "put", "--max-attempts=1", tree({"a": b"a"}), moto_bucket.url, store=through.store
    )
    assert (result.code, result.counts.done) == (0, 1)
    assert time.monotonic() - began > 2, "the store asked for a second, twice"
    assert result.err.count("throttles requests") == 1


def test_a_signal_ends_the_wait_for_the_first_request(
    s3pp_start: Start, recorder: MakeRecorder, moto: Store, moto_bucket: Bucket, tree: Tree
) -> None:
    through = recorder(moto, intercept=refuse_all)
    source = tree({"a": b"a"})
    for words in (("put", source), ("clean",), ("list",)):
        running = s3pp_start(*words, moto_bucket.url, store=through.store)
        deadline = time.monotonic() + PATIENCE
        while "throttles requests" not in running.err():
            assert time.monotonic() < deadline, "no word about the wait"
            time.sleep(0.01)
        running.signal(signal.SIGTERM)
        assert running.wait().code == 143
