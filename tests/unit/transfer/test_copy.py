"""The copier, where the store copies: every way a task can end, against scripted buckets."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from s3pp.attributes import Objects
from s3pp.errors import FailureKind, FatalError
from s3pp.job import Job, Mode
from s3pp.limits import GIB, MAX_OBJECT
from s3pp.places import Place, parse_origin
from s3pp.records import CopyTask, Dest, Done, Failed, Outcome, SendReason, Skipped
from s3pp.records import SkipReason as Skip
from s3pp.s3.exchange import Fault, WireError
from s3pp.s3.retry import NetworkError, StoreError
from s3pp.transfer.conditional_write import SURE
from s3pp.transfer.copy.copier import Copier

from .buckets import (
    DENIED,
    FAILED,
    GONE,
    OTHER_KEYS,
    UNKNOWN,
    Scripted,
    answer,
    copied,
    etag_of,
    kept,
    looked,
    resources,
)

BODY = b"body"
MD5, OTHER = etag_of(BODY), "f" * 32
TASK = CopyTask("src/key.txt", "to/key.txt", 4, MD5, "", None)
KMS = "x-amz-server-side-encryption: aws:kms"


class Pair:
    """A copier between two scripted buckets."""

    def __init__(
        self,
        copies: list[Any] | None = None,
        *,
        heads: list[Any] | None = None,  # of the destination
        looks: list[Any] | None = None,  # of the source
        keys: Any = None,
    ) -> None:
        self.source = Scripted("from", looks=looks or [None], gets=[answer(MD5, body=BODY)])
        self.dest = Scripted(
            "into", copies=copies or [copied(MD5)], looks=heads or [None], puts=[kept]
        )
        if keys:
            self.dest.signer.keys = keys
        self.notes: list[str] = []

    def copier(self, mode: Mode, *, shared: bool = True, **settings: Any) -> Copier:
        origin = parse_origin("s3://from/src")
        job = Job("copy", dest=Place("into", "to"), origins=(origin,), mode=mode, **settings)
        return Copier(job, self.source, self.dest, shared=shared, resources=resources())  # type: ignore[arg-type]

    def run(self, *tasks: CopyTask, mode: Mode = Mode.UPDATE, **settings: Any) -> list[Outcome]:
        async def main() -> list[Outcome]:
            copier = self.copier(mode, **settings)
            try:
                return [await copier.transfer(task) for task in tasks]
            finally:
                self.notes = copier.notes

        return asyncio.run(main())

    def one(self, task: CopyTask = TASK, **settings: Any) -> Outcome:
        return self.run(task, **settings)[0]


def done(reason: SendReason = SendReason.NEW, etag: str = MD5, attempts: int = 1) -> Done:
    return Done("src/key.txt", "to/key.txt", 4, 4, etag, reason, attempts)


def skipped(reason: Skip, dest_size: int | None = None) -> Skipped:
    return Skipped("src/key.txt", "to/key.txt", 4, reason, dest_size=dest_size)


def failure(outcome: Outcome) -> tuple[FailureKind, str]:
    assert isinstance(outcome, Failed)
    assert (outcome.source, outcome.target) == ("src/key.txt", "to/key.txt")
    assert outcome.message
    assert "\n" not in outcome.message
    return outcome.kind, outcome.message


# Copying and skipping


@pytest.mark.parametrize(
    ("mode", "dest", "reason"),
    [
        (Mode.ADD, None, SendReason.NEW),
        (Mode.STUPID, None, SendReason.ALWAYS),
        (Mode.STUPID, Dest(4, MD5), SendReason.ALWAYS),
        (Mode.UPDATE, None, SendReason.NEW),
        (Mode.UPDATE, Dest(5, MD5), SendReason.SIZE),
        (Mode.UPDATE, Dest(4, OTHER), SendReason.ETAG),
    ],
)
def test_what_is_to_be_copied_is_copied_once(
    mode: Mode, dest: Dest | None, reason: SendReason
) -> None:
    pair = Pair([copied(MD5, attempts=3)])
    assert pair.one(TASK._replace(dest=dest), mode=mode) == done(reason, attempts=3)
    (sent,) = pair.dest.sent
    assert (sent.key, sent.source, sent.pin) == ("to/key.txt", ("from", "src/key.txt"), f'"{MD5}"')
    assert sent.conditional == (mode is Mode.ADD)
    assert (pair.dest.asked, pair.source.asked, pair.source.got) == ([], [], [])


@pytest.mark.parametrize(
    ("mode", "dest", "reason"),
    [
        (Mode.UPDATE, Dest(4, MD5), Skip.SAME_ETAG),
        (Mode.ADD, Dest(4, OTHER), Skip.EXISTS),
        (Mode.ADD, Dest(5, OTHER), Skip.OTHER_SIZE),
    ],
)
@pytest.mark.parametrize("ask", [False, True])
def test_what_is_there_is_skipped(mode: Mode, dest: Dest, reason: Skip, ask: bool) -> None:
    pair = Pair(heads=[looked(dest.etag, dest.size)])
    task = TASK._replace(dest=None if ask else dest, ask=ask)
    other = None if dest.size == 4 else dest.size
    etag = MD5 if reason is Skip.SAME_ETAG else ""
    assert pair.one(task, mode=mode) == skipped(reason, other)._replace(etag=etag)
    assert pair.dest.sent == []
    assert pair.dest.asked == ["to/key.txt"] * ask


@pytest.mark.parametrize("head", [None, DENIED])
def test_a_target_that_cannot_be_seen_counts_as_absent(head: Any) -> None:
    pair = Pair(heads=[head])
    assert pair.one(TASK._replace(ask=True)) == done()
    assert pair.dest.asked == ["to/key.txt"]


def test_a_head_that_fails_fails_the_object() -> None:
    pair = Pair(heads=[StoreError(500, "InternalError", "broken")])
    assert failure(pair.one(TASK._replace(ask=True)))[0] is FailureKind.STORE
    assert pair.dest.sent == []


@pytest.mark.parametrize(("shared", "spared"), [(True, 1), (False, 2)])
def test_a_dry_run_writes_nothing(shared: bool, spared: int) -> None:
    pair = Pair()
    would = pair.one(dry_run=True, shared=shared)
    assert isinstance(would, Done)
    assert would.foreseen is not None
    assert would.foreseen.requests == spared
    assert would._replace(foreseen=None) == done(attempts=0)
    assert (pair.dest.sent, pair.source.got) == ([], [])
    assert [note for note in pair.notes if "ACLs" in note]


def test_an_etag_the_listing_did_not_tell_pins_nothing() -> None:
    pair = Pair()
    assert pair.one(TASK._replace(etag="")) == done()
    assert pair.dest.sent[0].pin is None


@pytest.mark.parametrize("dry_run", [False, True])
def test_more_than_an_object_holds_is_too_large(dry_run: bool) -> None:
    pair = Pair()
    kind, message = failure(pair.one(TASK._replace(size=MAX_OBJECT + 1), dry_run=dry_run))
    assert kind is FailureKind.TOO_LARGE
    assert "50 TB" in message
    assert pair.dest.sent == []
    assert isinstance(pair.one(TASK._replace(size=5 * GIB)), Done)


# Where ETags tell nothing

NVME, OTHER_NVME = (
    "x-amz-checksum-crc64nvme: AAAAAAAAAAA=",
    "x-amz-checksum-crc64nvme: AAAAAAAAAAB=",
)
PARTS = f"{OTHER}-2"
UPDATED = TASK._replace(etag=PARTS, dest=Dest(4, MD5))


def test_a_whole_copy_of_an_object_in_parts_is_told_by_its_checksum() -> None:
    pair = Pair(heads=[looked(MD5, 4, NVME)], looks=[looked(PARTS, 4, NVME)])
    assert pair.one(UPDATED) == skipped(Skip.SAME_CHECKSUM)._replace(etag=UPDATED.etag)
    assert pair.dest.sent == []


@pytest.mark.parametrize(
    ("here", "there"),
    [
        (looked(PARTS, 4, NVME), looked(MD5, 4, OTHER_NVME)),
        (looked(PARTS, 4, NVME), looked(MD5, 4)),
        (looked(PARTS, 4), looked(MD5, 4)),
        (looked(PARTS, 4, NVME), DENIED),
        (looked(PARTS, 4, NVME), None),
        (looked(OTHER, 4, NVME), looked(MD5, 4, NVME)),  # it is not the listed one any more
        (looked(PARTS, 4, NVME, "x-amz-checksum-type: COMPOSITE"), looked(MD5, 4, NVME)),
        (
            looked(PARTS, 4, "x-amz-checksum-crc32: AAAAAA=="),
            looked(MD5, 4, "x-amz-checksum-crc32: AAAAAA=="),
        ),
    ],
    ids=["other", "one", "none", "denied", "absent", "changed", "of parts", "weak"],
)
def test_unknown_is_never_equal(here: Any, there: Any) -> None:
    pair = Pair([copied(MD5)], heads=[there], looks=[here])
    assert pair.one(UPDATED) == done(SendReason.UNKNOWN)
    assert len(pair.dest.sent) == 1


def test_an_etag_nobody_tells_is_equal_to_none() -> None:
    task = TASK._replace(etag="", dest=Dest(4, ""))
    assert Pair(heads=[None]).one(task) == done(SendReason.UNKNOWN)


# The condition of mode add


@pytest.mark.parametrize(
    ("head", "outcome"),
    [
        (looked(MD5, 4), done()),  # our own: the answer to an attempt was lost
        (looked(OTHER, 4), skipped(Skip.EXISTS)),
        (looked(MD5, 5), skipped(Skip.OTHER_SIZE, 5)),
    ],
)
def test_a_target_found_taken_is_looked_at(head: Any, outcome: Outcome) -> None:
    pair = Pair([FAILED], heads=[head])
    assert pair.one(mode=Mode.ADD) == outcome
    assert len(pair.dest.sent) == len(pair.dest.asked) == 1


def test_a_refused_condition_with_no_target_is_the_sources() -> None:
    pair = Pair([FAILED, copied(OTHER)], heads=[None], looks=[looked(OTHER, 7)])
    assert pair.one(mode=Mode.ADD) == done(etag=OTHER)._replace(size=7, sent=7)
    assert [sent.pin for sent in pair.dest.sent] == [f'"{MD5}"', f'"{OTHER}"']
    assert all(sent.conditional for sent in pair.dest.sent)


def test_a_source_that_changed_is_not_taken_for_a_target_that_cannot_be_seen() -> None:
    pair = Pair([FAILED, copied(OTHER)], heads=[DENIED], looks=[looked(OTHER, 4)])
    assert pair.one(mode=Mode.ADD) == done(etag=OTHER)


def test_a_taken_target_that_cannot_be_seen_is_told_of_by_a_put_at_first() -> None:
    """Until it is known that this store holds the condition of a CopyObject against the target."""
    pair = Pair([FAILED], heads=[DENIED], looks=[looked(MD5, 4)])
    pair.dest.puts = [FAILED]
    assert pair.run(TASK, TASK, mode=Mode.ADD) == [skipped(Skip.EXISTS)] * 2
    assert [sent.body for sent in pair.dest.sent] == [b"", BODY, b""]
    assert all(sent.conditional for sent in pair.dest.sent)


def test_a_store_that_holds_the_condition_against_the_source_is_asked_instead() -> None:
    pair = Pair([FAILED, copied(MD5)] * SURE, heads=[None], looks=[looked(MD5, 4)])
    assert pair.run(*[TASK] * (SURE + 1), mode=Mode.ADD) == [done()] * (SURE + 1)
    assert [sent.conditional for sent in pair.dest.sent] == [True, False] * SURE + [False]
    assert len([note for note in pair.notes if "If-None-Match" in note]) == 1


def test_a_store_that_does_so_without_letting_us_look_is_copied_through() -> None:
    pair = Pair([FAILED], heads=[DENIED], looks=[looked(MD5, 4)])
    assert pair.run(TASK, TASK, mode=Mode.ADD) == [done(), done()]
    assert [sent.body for sent in pair.dest.sent] == [b"", BODY] * 2
    assert all(sent.conditional for sent in pair.dest.sent)


def test_a_condition_that_has_worked_is_given_up_for_no_other_object() -> None:
    """The target may have been there, and gone by the time it was looked at."""
    pair = Pair([copied(MD5), FAILED, copied(MD5)], heads=[None], looks=[looked(MD5, 4)])
    assert pair.run(TASK, TASK, TASK, mode=Mode.ADD) == [done()] * 3
    assert [sent.conditional for sent in pair.dest.sent] == [True, True, False, True]
    assert not [note for note in pair.notes if "If-None-Match" in note]


def test_a_store_that_refuses_the_condition_is_asked_instead() -> None:
    pair = Pair([UNKNOWN, copied(MD5)] * SURE)
    assert pair.run(*[TASK] * (SURE + 1), mode=Mode.ADD) == [done()] * (SURE + 1)
    assert [sent.conditional for sent in pair.dest.sent] == [True, False] * SURE + [False]
    assert len(pair.dest.asked) == SURE + 1
    assert len([note for note in pair.notes if "If-None-Match" in note]) == 1


def test_a_target_found_by_asking_instead_is_skipped() -> None:
    pair = Pair([UNKNOWN], heads=[looked(OTHER, 4)])
    assert pair.one(mode=Mode.ADD) == skipped(Skip.EXISTS)
    assert len(pair.dest.sent) == 1


def test_what_was_there_before_is_not_ours_however_equal() -> None:
    pair = Pair([UNKNOWN], heads=[looked(MD5, 4)])
    assert pair.one(mode=Mode.ADD) == skipped(Skip.EXISTS)


def test_what_is_ours_is_told_by_the_source_as_it_was_copied() -> None:
    """It changed first, and then the answer was lost."""
    pair = Pair([FAILED], heads=[None, looked(OTHER, 4)], looks=[looked(OTHER, 4)])
    assert pair.one(mode=Mode.ADD) == done(etag=OTHER)


def test_another_refusal_is_not_taken_for_one_of_the_condition() -> None:
    """Were it given up for one bad object, others could be overwritten."""
    pair = Pair([StoreError(400, "InvalidArgument", "no"), copied(MD5)])
    bad, good = pair.run(TASK, TASK, mode=Mode.ADD)
    assert failure(bad)[0] is FailureKind.REJECTED
    assert good == done()
    assert all(sent.conditional for sent in pair.dest.sent)
    assert pair.dest.asked == []


# The source


def test_a_source_that_changed_is_copied_as_it_is_now() -> None:
    found = looked(OTHER, 9, "x-amz-storage-class: STANDARD_IA")
    pair = Pair([FAILED, copied(OTHER)], looks=[found])
    assert pair.one() == done(etag=OTHER)._replace(size=9, sent=9)
    assert pair.dest.sent[1].pin == f'"{OTHER}"'
    assert pair.dest.sent[1].headers["x-amz-storage-class"] == "STANDARD_IA"


def test_a_source_that_keeps_changing_fails() -> None:
    pair = Pair([FAILED], looks=[looked(f"{n:032}", 4) for n in range(9)])
    assert failure(pair.one())[0] is FailureKind.CHANGED
    assert 2 <= len(pair.dest.sent) <= 5


def test_a_source_that_has_grown_too_large_fails() -> None:
    pair = Pair([FAILED], looks=[looked(OTHER, MAX_OBJECT + 1)])
    assert failure(pair.one())[0] is FailureKind.TOO_LARGE


def test_a_refused_condition_that_holds_is_a_refusal() -> None:
    pair = Pair([FAILED], looks=[looked(MD5, 4)])
    assert failure(pair.one())[0] is FailureKind.REJECTED
    assert len(pair.dest.sent) == 1


@pytest.mark.parametrize("pair", [Pair([GONE]), Pair([FAILED], looks=[None])])
def test_a_source_that_vanished_is_not_found(pair: Pair) -> None:
    kind, message = failure(pair.one())
    assert kind is FailureKind.NOT_FOUND
    assert "vanished" in message


def test_a_bucket_that_vanished_is_no_object_that_did() -> None:
    pair = Pair([StoreError(404, "NoSuchBucket", "The specified bucket does not exist")])
    kind, message = failure(pair.one())
    assert kind is FailureKind.NOT_FOUND
    assert "NoSuchBucket" in message


def test_an_archived_source_is_no_refusal_of_access() -> None:
    error = StoreError(403, "InvalidObjectState", "not valid for the object's storage class")
    pair = Pair([error])
    kind, message = failure(pair.one(TASK._replace(storage_class="GLACIER")))
    assert kind is FailureKind.REJECTED
    assert "restore" in message
    assert len(pair.dest.sent) == 1


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (StoreError(500, "InternalError", "in the body of a 200"), FailureKind.STORE),
        (NetworkError(WireError(Fault.CUT, "reset")), FailureKind.NETWORK),
        (StoreError(400, "InvalidArgument", "no"), FailureKind.REJECTED),
        (KeyError("a defect"), FailureKind.INTERNAL),
    ],
)
def test_what_fails_for_good_fails_the_object(error: Exception, kind: FailureKind) -> None:
    pair = Pair([error])
    assert failure(pair.one())[0] is kind
    assert len(pair.dest.sent) == 1


def test_fatal_errors_are_for_the_worker() -> None:
    with pytest.raises(FatalError):
        Pair([FatalError("no credentials")]).one()


# Integrity


@pytest.mark.parametrize(
    ("task", "copy"),
    [
        (TASK._replace(etag=f"{MD5}-2"), copied(OTHER)),  # a multipart upload becomes whole
        (TASK, copied(f"{OTHER}-1")),
        (TASK, copied(OTHER, KMS)),
    ],
    ids=["source in parts", "copy in parts", "copy under KMS"],
)
def test_etags_that_need_not_agree_are_not_compared(task: CopyTask, copy: Any) -> None:
    pair = Pair([copy])
    assert isinstance(pair.one(task), Done)
    assert pair.source.asked == pair.dest.asked == []


def test_random_etags_are_not_compared() -> None:
    pair = Pair([copied(OTHER)])
    pair.source.endpoint = pair.source.endpoint._replace(bucket="from--x-s3")
    assert pair.one() == done(etag=OTHER)
    assert pair.source.asked == []


def test_a_copy_that_is_provably_another_object_fails() -> None:
    pair = Pair([copied(OTHER)], looks=[looked(MD5, 4)])
    kind, message = failure(pair.one())
    assert kind is FailureKind.INTEGRITY
    assert MD5 in message
    assert OTHER in message


def test_a_copy_that_comes_right_at_last_is_done() -> None:
    pair = Pair([copied(OTHER), copied(MD5)], looks=[looked(MD5, 4)])
    assert pair.one(mode=Mode.ADD) == done()
    # What the first attempt wrote is ours: it must not refuse the second.
    assert [sent.conditional for sent in pair.dest.sent] == [True, False]


def test_a_source_replaced_by_what_was_copied_is_done() -> None:
    """The store did not mind the condition: moto, for one."""
    pair = Pair([copied(OTHER)], looks=[looked(OTHER, 7)])
    assert pair.one() == done(etag=OTHER)._replace(size=7, sent=7)


def test_a_source_replaced_by_something_else_is_copied_again() -> None:
    pair = Pair([copied(OTHER), copied("e" * 32)], looks=[looked("e" * 32, 7)])
    assert pair.one() == done(etag="e" * 32)._replace(size=7, sent=7)


@pytest.mark.parametrize("look", [looked(MD5, 4, KMS), None, DENIED], ids=str)
@pytest.mark.parametrize(
    ("head", "good"),
    [
        (looked(OTHER, 4), True),
        (looked(OTHER, 5), False),
        (looked("e" * 32, 5), True),  # somebody wrote it since
        (None, True),
        (DENIED, True),
    ],
    ids=["same size", "other size", "overwritten", "gone", "forbidden"],
)
def test_where_etags_prove_nothing_the_sizes_are_compared(look: Any, head: Any, good: bool) -> None:
    pair = Pair([copied(OTHER)], looks=[look], heads=[head])
    outcome = pair.one()
    if good:
        assert outcome == done(etag=OTHER)
    else:
        kind, message = failure(outcome)
        assert kind is FailureKind.INTEGRITY
        assert "5 bytes" in message


# What CopyObject cannot do


@pytest.mark.parametrize("error", [UNKNOWN, StoreError(405, "MethodNotAllowed", "")])
@pytest.mark.parametrize("mode", [Mode.ADD, Mode.UPDATE])
def test_a_store_without_copy_object_is_copied_through(error: StoreError, mode: Mode) -> None:
    pair = Pair([error])
    assert pair.run(TASK, TASK, mode=mode) == [done(), done()]
    copies = [sent for sent in pair.dest.sent if sent.source != ("", "")]
    puts = [sent for sent in pair.dest.sent if sent.source == ("", "")]
    assert len(copies) <= 2  # of the first object
    assert [put.body for put in puts] == [BODY, BODY]
    assert all(put.conditional == (mode is Mode.ADD) for put in puts)
    assert len([note for note in pair.notes if "through this machine" in note]) == 1
    assert not [note for note in pair.notes if "If-None-Match" in note]


def test_keys_that_may_not_read_the_source_are_helped_by_those_that_may() -> None:
    pair = Pair([DENIED], keys=OTHER_KEYS)
    assert pair.run(TASK, TASK) == [done(), done()]
    assert len(pair.dest.sent) == 3
    assert [note for note in pair.notes if "may not read the source" in note]


def test_one_refusal_among_copies_is_no_rule() -> None:
    pair = Pair([copied(MD5), DENIED, copied(MD5)], keys=OTHER_KEYS)
    assert pair.run(TASK, TASK, TASK) == [done()] * 3
    assert [sent.body for sent in pair.dest.sent] == [b"", b"", BODY, b""]


def test_a_refusal_to_the_same_keys_may_be_one_of_the_tags() -> None:
    pair = Pair([DENIED, copied(MD5)])
    assert pair.one() == done()
    directives = [sent.headers.get("x-amz-tagging-directive") for sent in pair.dest.sent]
    assert directives == [None, "REPLACE"]
    assert "x-amz-tagging" not in pair.dest.sent[1].headers
    assert [note for note in pair.notes if "tags" in note]


@pytest.mark.parametrize("tags", [(), (("a", "b"),)])
def test_a_refusal_of_everything_is_one_of_access(tags: Any) -> None:
    pair = Pair([DENIED])
    assert failure(pair.one(objects=Objects(tags=tags)))[0] is FailureKind.ACCESS
    assert len(pair.dest.sent) == (1 if tags else 2)
    assert not [note for note in pair.notes if "tags" in note]
    assert pair.source.got == []


def test_a_storage_class_nobody_knows_is_left_behind_and_said() -> None:
    pair = Pair([StoreError(400, "InvalidStorageClass", ""), copied(MD5)])
    assert pair.one(TASK._replace(storage_class="COLD")) == done()
    classes = [sent.headers.get("x-amz-storage-class") for sent in pair.dest.sent]
    assert classes == ["COLD", None]
    assert [note for note in pair.notes if "storage class" in note]


def test_what_is_never_carried_is_said_once() -> None:
    pair = Pair()
    pair.run(TASK, TASK)
    (note,) = pair.notes
    assert "ACLs" in note
    assert "website redirects" in note
    pair.run(TASK, objects=Objects(acl="private"))
    assert "ACLs" not in pair.notes[0]


def test_a_run_that_copies_nothing_says_nothing() -> None:
    pair = Pair()
    pair.run(TASK._replace(dest=Dest(4, MD5)), shared=False)
    assert pair.notes == []
