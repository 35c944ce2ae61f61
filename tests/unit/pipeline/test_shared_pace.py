"""Runs on one machine share what they learn of a store: records, parts of the limit, and files."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3pp.access import Access
from s3pp.job import Job
from s3pp.pipeline.flow import FlowControl
from s3pp.pipeline.shared_pace import (
    ALONE,
    FORGOTTEN,
    IDLE,
    STALE,
    RunRecord,
    SharedPace,
    combine,
    read_record,
)
from s3pp.s3.congestion import NO_LIMIT, Feedback, RateLimit

NOW = 1000.0
LIMIT = RateLimit(3, 100.0, NOW - 1.0)
RECORD = RunRecord(NOW, 1.0, LIMIT)
WEIGHTS = st.sampled_from([IDLE, 1.0])


NUMBERS = st.lists(st.floats(), min_size=6, max_size=8).map(
    lambda each: " ".join(map(repr, each)).encode()
)


@given(st.binary() | st.text().map(str.encode) | NUMBERS)
def test_what_is_no_record_is_none(content: bytes) -> None:
    record = read_record(content, NOW)
    assert record is None or read_record(record.encode(), NOW) == record


def test_a_record_is_read_as_it_was_written_for_a_while() -> None:
    assert read_record(RECORD.encode(), NOW + STALE - 0.1) == RECORD
    assert read_record(RECORD.encode(), NOW + STALE + 0.1) is None
    assert read_record(RECORD.encode(), NOW - 0.1) is None  # of another boot
    for wrong in (b"", b"[]", b"{}", b"null", b"1 2", b"nan 1 1 1 1 1 1", b"1 " * 99999):
        assert read_record(wrong, NOW) is None
    assert read_record(RECORD._replace(limit=LIMIT._replace(ceiling=1e30)).encode(), NOW) is None


@given(st.lists(WEIGHTS, min_size=1, max_size=10))
def test_the_parts_of_all_runs_make_up_the_whole(weights: list[float]) -> None:
    records = [RECORD._replace(weight=weight) for weight in weights]
    parts = [
        combine(each.weight, records[:at] + records[at + 1 :], NOW).part
        for at, each in enumerate(records)
    ]
    assert sum(parts) == pytest.approx(1.0)


def test_the_limit_that_was_learnt_last_is_that_of_all() -> None:
    older, lifted = LIMIT._replace(since=NOW - 2.0), LIMIT._replace(since=NOW - 60.0)
    others = [RECORD._replace(limit=each) for each in (older, LIMIT, lifted, NO_LIMIT)]
    assert combine(1.0, others, NOW).limit == LIMIT
    assert combine(1.0, others[2:], NOW).limit == NO_LIMIT
    assert combine(1.0, [], NOW) == ALONE


def test_files_of_runs(tmp_path: Path) -> None:
    directory = tmp_path / "rate"
    first, second, third = (SharedPace(str(directory)) for _ in range(3))
    idle = RunRecord(NOW, 1.0, NO_LIMIT)
    assert first.exchange(idle) == ALONE
    assert not directory.exists()  # nobody is limited, and nothing is written
    assert first.exchange(RECORD) == ALONE
    assert second.exchange(idle) == (0.5, LIMIT, 1)
    assert first.exchange(RECORD) == (0.5, NO_LIMIT, 1)
    assert third.exchange(idle).part == pytest.approx(1 / 3)
    assert {path.stat().st_mode & 0o777 for path in directory.iterdir()} == {0o600}
    # What is there beside them costs nothing; what is old is removed, and no link is followed.
    (tmp_path / "target").write_bytes(RECORD.encode())
    (directory / "link").symlink_to(tmp_path / "target")
    (directory / "directory").mkdir()
    (directory / "garbage").write_bytes(b"\0" * 10_000)
    (directory / "forgotten").write_bytes(b"x")
    os.utime(directory / "forgotten", (0, 0))
    os.mkfifo(directory / "fifo")
    assert first.exchange(RECORD).others == 2
    assert not (directory / "forgotten").exists()
    assert FORGOTTEN > STALE
    # A killed run is forgotten after a while, one that ends at once.
    second.close()
    assert first.exchange(RECORD).others == 1
    later = RECORD._replace(written=NOW + STALE + 1.0)
    assert first.exchange(later) == ALONE


def test_a_directory_that_cannot_be_used_costs_the_sharing_alone(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert SharedPace(str(tmp_path / "file")).exchange(RECORD) == ALONE
    pace = SharedPace(str(tmp_path / "missing" / "rate"))
    assert pace.exchange(RECORD) == ALONE
    pace.close()


def test_who_comes_later_takes_over_the_limit_and_the_first_gives_it_a_half(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(SharedPace, "of", lambda _: (SharedPace(str(tmp_path / "rate")), ""))
    flows: list[FlowControl[str]] = []
    sent: list[list[RateLimit]] = [[], []]
    for number in range(2):

        def send(to: str, message: object, number: int = number) -> None:
            if isinstance(message, RateLimit):
                sent[number].append(message)

        flow: FlowControl[str] = FlowControl(send, lambda *_: None, Job("put", access=Access()))
        flow.join("worker")
        flow.share("https://store")
        flows.append(flow)
    throttled = Feedback(0, 50, 50, 0, 50, 1.0, 10, throttled=50)
    flows[0].observe("worker", throttled, NOW)
    alone = sent[0][-1].ceiling
    flows[0].balance(NOW + 0.3, "statter")
    flows[1].observe("worker", throttled._replace(refused=0, throttled=0), NOW + 0.4)
    flows[1].balance(NOW + 0.5, "statter")
    assert sent[1][-1].ceiling == pytest.approx(alone / 2)  # before it was refused anything
    flows[0].balance(NOW + 1.4, "statter")
    assert sent[0][-1].ceiling == pytest.approx(alone / 2)
    # What one of them learns, both obey.
    epoch = sent[1][-1].epoch
    flows[1].observe("worker", throttled._replace(epoch=epoch, accepted=5, lately=5), NOW + 2.0)
    lowered = sent[1][-1].ceiling
    assert lowered < alone / 2
    flows[1].balance(NOW + 2.1, "statter")
    flows[0].balance(NOW + 2.5, "statter")
    assert sent[0][-1].ceiling == pytest.approx(lowered)
    flows[1].close()
    flows[0].balance(NOW + 3.6, "statter")
    assert sent[0][-1].ceiling == pytest.approx(2 * lowered)
