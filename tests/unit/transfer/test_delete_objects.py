"""The deleter of objects, against stores that differ in what they can do."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3pp.errors import FailureKind
from s3pp.records import (
    Deleted,
    DeleteReason,
    DeleteTask,
    Failed,
    Foreseen,
    Outcome,
    Skipped,
    SkipReason,
)
from s3pp.s3.retry import StoreError
from s3pp.transfer.delete.deleter import REPLACED
from s3pp.transfer.delete.objects import ObjectDeleter, calls_for

from .delete_store import AWS, OTHER, DeleteStore, etag

MANY = [f"p/{number:02}" for number in range(10)]
GONE = SkipReason.GONE


def task(key: str, content: str = "content") -> DeleteTask:
    seen = etag(content) if content else ""
    return DeleteTask(key, len(content), seen, "2026-01-01T00:00:00Z", DeleteReason.SELECTED)


def tasks(*keys: str) -> list[DeleteTask]:
    return [task(key) for key in keys]


def store(*keys: str, **features: object) -> DeleteStore:
    return DeleteStore(dict.fromkeys(keys, "content"), **features)  # type: ignore[arg-type]


def delete(
    where: DeleteStore, what: Sequence[DeleteTask], deleter: ObjectDeleter | None = None
) -> dict[str, Outcome]:
    ended: dict[str, Outcome] = {}
    made = deleter or ObjectDeleter(where.bucket(), dry_run=False)
    asyncio.run(made.delete(what, ended))
    return ended


def kinds(ended: dict[str, Outcome]) -> dict[str, str]:
    return {key: type(outcome).__name__.lower() for key, outcome in ended.items()}


def test_on_aws_a_batch_is_one_request() -> None:
    where = store(*MANY, "p/other", host=AWS)
    ended = delete(where, tasks(*MANY))
    assert ended[MANY[0]] == Deleted(MANY[0], 7, DeleteReason.SELECTED, etag("content"))
    assert where.sent == ["POST"]
    assert list(where.objects) == ["p/other"]


def test_elsewhere_a_page_of_the_listing_is_read_before() -> None:
    where = store(*MANY, host=OTHER, conditions="ignored")
    assert set(kinds(delete(where, tasks(*MANY))).values()) == {"deleted"}
    assert where.sent == ["GET", "POST"]


@pytest.mark.parametrize("host", [AWS, OTHER])
@pytest.mark.parametrize("conditions", ["honoured", "ignored", "refused"])
@pytest.mark.parametrize("count", [3, 10])
@pytest.mark.parametrize("batches", [True, False])
def test_what_was_replaced_stays_and_what_is_gone_is_said_to_be(
    host: str, conditions: str, count: int, batches: bool
) -> None:
    if host == AWS and conditions == "ignored":
        return  # AWS does not
    keys = MANY[:count]
    where = store(*keys[:-1], host=host, conditions=conditions, batches=batches)
    where.objects[keys[0]] = "another"
    ended = delete(where, tasks(*keys))
    assert list(where.objects) == [keys[0]]
    first, last = ended[keys[0]], ended[keys[-1]]
    assert isinstance(first, Failed)
    assert (first.kind, first.message, first.deleting) == (FailureKind.CHANGED, REPLACED, True)
    assert isinstance(last, Skipped)
    assert (last.reason, last.deleting) == (GONE, True)
    assert set(kinds({key: ended[key] for key in keys[1:-1]}).values()) == {"deleted"}


@pytest.mark.parametrize("host", [AWS, OTHER])
@pytest.mark.parametrize("conditions", ["denied", "garbled"])
@pytest.mark.parametrize("batches", [True, False])
def test_conditions_that_cannot_be_evaluated_are_not_sent_again(
    host: str, conditions: str, batches: bool
) -> None:
    """A key that may delete, but not read; or a store that compares another form of the ETag."""
    if host == AWS and conditions == "garbled":
        return  # AWS does not
    where = store(*MANY, host=host, conditions=conditions, batches=batches)
    where.objects[MANY[0]] = "another"
    deleter = ObjectDeleter(where.bucket(), dry_run=False)
    ended = delete(where, tasks(*MANY[:5]), deleter)
    assert kinds(ended) == {MANY[0]: "failed", **dict.fromkeys(MANY[1:5], "deleted")}
    where.sent.clear()
    assert set(kinds(delete(where, tasks(*MANY[5:]), deleter)).values()) == {"deleted"}
    sent = ["POST"] if batches else [f"DELETE {key}" for key in MANY[5:]]
    assert where.sent == ["GET", *sent]
    assert list(where.objects) == [MANY[0]]


@pytest.mark.parametrize("host", [AWS, OTHER])
def test_conditions_that_are_refused_are_reported_once(host: str) -> None:
    where = store(*MANY, host=host, conditions="refused")
    deleter = ObjectDeleter(where.bucket(), dry_run=False)
    delete(where, tasks(*MANY[:5]), deleter)
    delete(where, tasks(*MANY[5:]), deleter)
    (note,) = deleter.notes
    assert "refuses deletions on condition (MalformedXML: no)" in note
    assert not where.objects


def test_a_store_without_batches_is_asked_once() -> None:
    where = store(*MANY, batches=False, host=AWS)
    deleter = ObjectDeleter(where.bucket(), dry_run=False)
    delete(where, tasks(*MANY[:5]), deleter)
    delete(where, tasks(*MANY[5:]), deleter)
    assert where.sent.count("POST") == 2  # the first may have refused the conditions
    assert not where.objects


def test_keys_that_xml_cannot_carry_go_alone() -> None:
    odd = ["p/a\x01", "p/b ", "p/\r"]
    where = store("p/a", "p/b", *odd, host=AWS)
    assert set(kinds(delete(where, tasks("p/a", *odd))).values()) == {"deleted"}
    assert where.sent == ["POST", *(f"DELETE {key}".strip() for key in odd)]
    assert list(where.objects) == ["p/b"]


@pytest.mark.parametrize("batches", [True, False])
def test_refusals_of_keys_are_theirs_alone(batches: bool) -> None:
    where = store(*MANY, host=AWS, batches=batches, denied=frozenset(MANY[:2]))
    ended = delete(where, tasks(*MANY))
    assert kinds(ended) == {
        **dict.fromkeys(MANY[:2], "failed"),
        **dict.fromkeys(MANY[2:], "deleted"),
    }
    first = ended[MANY[0]]
    assert isinstance(first, Failed)
    assert (first.kind, first.code) == (FailureKind.ACCESS, "AccessDenied")
    assert (first.message, first.deleting) == ("AccessDenied: no", True)


def test_a_refusal_of_all_takes_two_requests_and_no_more() -> None:
    where = store(*MANY, host=AWS, denied=frozenset(MANY))
    assert set(kinds(delete(where, tasks(*MANY))).values()) == {"failed"}
    assert where.sent == ["POST", "GET", "POST"]


def test_a_key_that_the_answer_leaves_out_is_deleted_alone() -> None:
    where = store(*MANY, host=AWS, silent=frozenset(MANY[:1]))
    assert set(kinds(delete(where, tasks(*MANY))).values()) == {"deleted"}
    assert where.sent == ["POST", f"DELETE {MANY[0]}"]
    assert not where.objects


@pytest.mark.parametrize("batches", [True, False])
def test_markers_are_named(batches: bool) -> None:
    where = store(*MANY, host=AWS, versions=True, batches=batches)
    ended = delete(where, tasks(*MANY))
    versions = {each.version for each in ended.values() if isinstance(each, Deleted)}
    assert versions == {f"marker-{number}" for number in range(1, 11)}


def test_without_a_listing_each_object_is_looked_at() -> None:
    where = store(*MANY, conditions="ignored", lists=False)
    where.objects[MANY[0]] = "another"
    assert kinds(delete(where, tasks(*MANY)))[MANY[0]] == "failed"
    assert where.sent.count("HEAD " + MANY[1]) == 1
    assert where.sent[-1] == "POST"


def test_where_nothing_can_be_looked_at_that_is_said_once() -> None:
    where = store(*MANY, conditions="ignored", lists=False, heads=False)
    deleter = ObjectDeleter(where.bucket(), dry_run=False)
    delete(where, tasks(*MANY), deleter)
    (note,) = deleter.notes
    assert "access denied: HEAD on s3://bucket" in note
    assert not where.objects


def test_an_unknown_etag_is_no_condition() -> None:
    where = store("p/a", host=OTHER)
    assert kinds(delete(where, [task("p/a", "")])) == {"p/a": "deleted"}
    assert where.sent == ["POST"]


def test_a_bucket_that_is_gone_is_raised() -> None:
    where = store(*MANY, host=AWS, exists=False)
    with pytest.raises(StoreError, match="NoSuchBucket"):
        delete(where, tasks(*MANY))
    assert where.sent == ["POST"]


def test_a_dry_run_sends_nothing() -> None:
    where = store(*MANY)
    deleter = ObjectDeleter(where.bucket(), dry_run=True)
    ended = delete(where, tasks(*MANY, "p/x\x01"), deleter)
    assert set(kinds(ended).values()) == {"deleted"}
    deleted = [each for each in ended.values() if isinstance(each, Deleted)]
    assert {each.attempts for each in deleted} == {0}
    foreseen = [each.foreseen for each in deleted]
    first, *others = (each and each.calls for each in foreseen)
    assert (first, set(others)) == ((("DeleteObjects", 1), ("DeleteObject", 1)), {()})
    assert where.sent == []


@given(st.integers(0, 2500), st.integers(0, 3))
def test_requests_are_foretold(fitting: int, odd: int) -> None:
    what = tasks(*(f"p/{n}" for n in range(fitting)), *(f"p/{n}\n" for n in range(odd)))
    assert Foreseen(calls_for(what)).requests == -(-fitting // 1000) + odd
