"""Uploads led to their end against a store in memory, with parts of a few bytes."""

from __future__ import annotations

import asyncio
from base64 import b64decode
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from effort import examples
from s3pp.attributes import Objects
from s3pp.body_options import Parts
from s3pp.errors import FailureKind, FatalError, Kept, ObjectError, RunEnding
from s3pp.integrity.checksums import checksum as digest
from s3pp.integrity.etag import etag_of_md5s
from s3pp.job import Job, Mode
from s3pp.places import Place, Source
from s3pp.records import Entry, PartDone, PartFailed, PartOutcome, PutPart
from s3pp.s3.client import Call, Headers
from s3pp.s3.exchange import Fault, WireError
from s3pp.s3.retry import NetworkError, StoreError
from s3pp.speed import Speed
from s3pp.transfer.bodies import Changed, Slice, open_entry
from s3pp.transfer.conditional_write import AlreadyExists
from s3pp.transfer.multipart_upload import HIDDEN, CompletedUpload
from s3pp.transfer.part_upload import NO_CHECKSUMS, FileUploader, upload_body
from s3pp.transfer.resume import NOTHING_RESUMED

from . import parted
from .buckets import resources
from .parted import Parted, etag_of

EACH = 4  # bytes of a part
BODY = b"aaaabbbbccccddddee"
JOB = Job(
    "put",
    (Source("/src"),),
    Place("bkt"),
    mode=Mode.UPDATE,
    parts=Parts(EACH, EACH),
    speed=Speed(processes=1, concurrency=2),
    objects=Objects(checksum="md5"),
)
GONE = StoreError(404, "NoSuchUpload", "")


def cut(body: bytes, each: int = EACH) -> dict[int, bytes]:
    return {1 + at // each: body[at : at + each] for at in range(0, len(body), each)}


def etag(body: bytes, each: int = EACH) -> str:
    return etag_of_md5s(bytes.fromhex(etag_of(part)) for part in cut(body, each).values())


@dataclass
class Scene:
    """A file, a store, and who leads the one into the other."""

    path: Path
    store: Parted = field(default_factory=Parted)
    job: Job = JOB
    told: list[str] = field(default_factory=list)
    headers: Headers = ()
    offered: Callable[[PutPart], None] = lambda part: None

    def put(self) -> CompletedUpload:
        return asyncio.run(asyncio.wait_for(self._put(readings=1), 20))

    def put_again(self) -> CompletedUpload:
        """As a putter does: a source that changed is opened once more."""
        return asyncio.run(asyncio.wait_for(self._put(readings=2), 20))

    async def _put(self, readings: int) -> CompletedUpload:
        async def run(part: PutPart) -> PartOutcome:
            self.offered(part)
            return await leads.sender.part(part)

        leads = FileUploader(self.job, self.store, resources(run), self.told.append)  # type: ignore[arg-type]
        for _ in range(readings - 1):
            with suppress(Changed):
                return await self._lead(leads)
        return await self._lead(leads)

    async def _lead(self, leads: FileUploader) -> CompletedUpload:
        entry = Entry("key", str(self.path), len(BODY), 0)
        with patch("s3pp.transfer.bodies.SMALL", 0):
            source = open_entry(entry)
        assert isinstance(source, Slice)
        try:
            return await leads.put(upload_body(entry, source, self.headers, is_shared=True))
        finally:
            source.close()

    def fail(self, what: str, *errors: Exception) -> None:
        """Refuse the first requests of a kind."""
        left = list(errors)

        def before(found: str, call: Call) -> None:
            if found == what and left:
                raise left.pop(0)

        self.store.before = before

    @property
    def object(self) -> bytes:
        return self.store.objects["key"][0]


@contextmanager
def scenes() -> Iterator[Scene]:
    """Parts may be as small as anybody likes."""
    with (
        TemporaryDirectory() as directory,
        patch("s3pp.s3.multipart.MIN_PART", 1),
        patch("s3pp.transfer.resume.MIN_PART", 1),
    ):
        path = Path(directory) / "file"
        path.write_bytes(BODY)
        yield Scene(path)


@pytest.fixture
def scene() -> Iterator[Scene]:
    with scenes() as each:
        yield each


def facts(upload: CompletedUpload) -> tuple[str, int, int]:
    return upload.etag, upload.sent, upload.attempts


def failure(scene: Scene) -> ObjectError:
    with pytest.raises(ObjectError) as caught:
        scene.put()
    assert "\n" not in str(caught.value)
    return caught.value


def test_a_body_is_begun_sent_and_completed(scene: Scene) -> None:
    scene.headers = [("content-type", "text/plain"), ("x-amz-sdk-checksum-algorithm", "MD5")]
    assert facts(scene.put()) == (etag(BODY), len(BODY), 1)
    assert scene.object == BODY
    assert scene.store.objects["key"][2] == {"content-type": "text/plain"}
    assert scene.store.completions == [{"x-amz-mp-object-size": str(len(BODY))}]
    assert (sorted(scene.store.sent), scene.told, scene.store.uploads) == ([1, 2, 3, 4, 5], [], {})


@given(st.binary(min_size=2, max_size=60), st.integers(1, 9), st.data())
@settings(deadline=None, max_examples=examples(60))
def test_whatever_parts_are_there_only_the_others_are_sent(
    body: bytes, each: int, data: st.DataObject
) -> None:
    parts = cut(body, each)
    kept = data.draw(st.sets(st.sampled_from(sorted(parts))))
    with scenes() as scene:
        scene.path.write_bytes(body)
        scene.job = replace(JOB, parts=Parts(each, 1))
        scene.store.begin("key", {number: parts[number] for number in sorted(kept)})
        sent = scene.put()
        assert scene.object == body
        assert sent.etag == etag(body, each)
        assert sorted(scene.store.sent) == sorted(parts.keys() - kept)
        assert sent.sent == sum(len(parts[number]) for number in parts.keys() - kept)
        assert len(scene.told) == bool(kept)
        assert len(scene.store.uploads) == (not kept), "an upload without parts is anybody's"


@given(st.data())
@settings(deadline=None, max_examples=examples(40))
def test_parts_of_other_bytes_are_sent_again(data: st.DataObject) -> None:
    changed = data.draw(st.sets(st.sampled_from([1, 2, 3, 4, 5]), max_size=4))
    with scenes() as scene:
        there = {n: b"x" * len(part) if n in changed else part for n, part in cut(BODY).items()}
        scene.store.begin("key", there)
        assert scene.put().etag == etag(BODY)
        assert scene.object == BODY
        probed = {1, 3, 5}
        ours = bool(probed - changed)
        assert sorted(scene.store.sent) == (sorted(changed) if ours else [1, 2, 3, 4, 5])
        assert len(scene.store.uploads) == (not ours)


def test_thousands_of_parts_and_uploads(scene: Scene) -> None:
    body = bytes(number % 251 for number in range(2500))
    scene.path.write_bytes(body)
    scene.job = replace(JOB, parts=Parts(1, 1))
    for _ in range(1100):
        scene.store.begin("key/other", {})
    for _ in range(3):
        scene.store.begin("key", {1: b"?"})
    scene.store.begin("key", {n: part for n, part in cut(body, 1).items() if n % 100})
    assert scene.put().sent == 25
    assert scene.object == body
    assert len(scene.store.uploads) == 1103


def test_without_resuming_all_is_sent(scene: Scene) -> None:
    theirs = scene.store.begin("key", cut(BODY))
    scene.job = replace(JOB, parts=Parts(EACH, EACH, resume=False))
    assert scene.put().sent == len(BODY)
    assert list(scene.store.uploads) == [theirs]


def test_a_store_that_shows_no_uploads(scene: Scene) -> None:
    scene.fail("list", StoreError(403, "AccessDenied", ""))
    assert scene.put().sent == len(BODY)
    assert scene.told == [NOTHING_RESUMED]


# Completing


def test_a_completion_whose_answer_was_lost_is_done(scene: Scene) -> None:
    scene.store.after = lose("complete")
    assert facts(scene.put()) == (etag(BODY), len(BODY), 1)
    assert sorted(scene.store.sent) == [1, 2, 3, 4, 5]


def test_and_in_mode_add_as_well(scene: Scene) -> None:
    scene.job = replace(JOB, mode=Mode.ADD)
    scene.store.after = lose("complete", StoreError(412, "PreconditionFailed", ""))
    assert scene.put().etag == etag(BODY)


def lose(what: str, error: StoreError = GONE) -> Callable[[str, Call], None]:
    def after(found: str, call: Call) -> None:
        if found == what:
            raise error

    return after


def test_where_we_may_not_look_an_upload_that_is_gone_is_begun_again(scene: Scene) -> None:
    calls: list[str] = []

    def before(what: str, call: Call) -> None:
        calls.append(what)
        if what == "look":
            raise StoreError(403, "AccessDenied", "")
        if what == "complete" and calls.count("complete") == 1:
            raise GONE

    scene.store.before = before
    assert scene.put().etag == etag(BODY)
    assert calls.count("complete") == 2


def test_what_another_wrote_is_not_taken_for_ours(scene: Scene) -> None:
    scene.job = replace(JOB, mode=Mode.ADD)
    scene.store.objects["key"] = (b"x" * len(BODY), etag(b"x" * len(BODY)), {})
    with pytest.raises(AlreadyExists):
        scene.put()
    assert scene.store.uploads == {}
    assert len(scene.store.aborted) == 1


def test_not_even_if_it_is_the_same(scene: Scene) -> None:
    scene.job = replace(JOB, mode=Mode.ADD)
    scene.store.objects["key"] = (BODY, etag(BODY), {})
    with pytest.raises(AlreadyExists):
        scene.put()
    assert scene.store.uploads == {}


def test_an_upload_that_always_vanishes_fails(scene: Scene) -> None:
    scene.fail("complete", *[GONE] * 9)
    error = failure(scene)
    assert (error.kind, "another client" in str(error)) == (FailureKind.CONFLICT, True)


def test_without_resuming_one_that_others_were_at_does_not_stay(scene: Scene) -> None:
    scene.job = replace(JOB, parts=Parts(EACH, EACH, resume=False))
    scene.fail("complete", StoreError(400, "InvalidPart", ""))
    assert scene.put().etag == etag(BODY)
    assert (scene.store.uploads, len(scene.store.aborted)) == ({}, 1)


def test_after_a_conflict_every_part_is_sent_anew(scene: Scene) -> None:
    scene.fail("complete", StoreError(409, "ConditionalRequestConflict", ""))
    assert scene.put().etag == etag(BODY)
    assert sorted(scene.store.sent) == sorted([1, 2, 3, 4, 5] * 2)
    assert len(scene.store.aborted) == 1


def test_a_part_that_another_run_replaced_is_sent_again(scene: Scene) -> None:
    calls: list[str] = []

    def before(what: str, call: Call) -> None:
        calls.append(what)
        if what == "complete" and calls.count("complete") == 1:
            (upload,) = scene.store.uploads.values()
            upload.parts[2] = b"????"

    scene.store.before = before
    assert scene.put().etag == etag(BODY)
    assert scene.object == BODY
    assert sorted(scene.store.sent) == [1, 2, 2, 3, 4, 5]


def test_an_etag_of_other_parts_fails_with_both_values(scene: Scene) -> None:
    good, wrong = etag(BODY), f"{'0' * 32}-4"
    with patch.object(parted, "etag_of_md5s", lambda digests: wrong):
        error = failure(scene)
    assert error.kind is FailureKind.INTEGRITY
    assert good in str(error)
    assert wrong in str(error)
    assert "key" in scene.store.objects, "nothing is deleted because of it"


@pytest.mark.parametrize("told", ["d41d8cd98f00b204e9800998ecf8427e", "opaque"])
def test_an_etag_that_tells_nothing_is_no_alarm(scene: Scene, told: str) -> None:
    with patch.object(parted, "etag_of_md5s", lambda digests: told):
        assert scene.put().etag == told


# Failing


def test_a_failure_says_how_to_go_on_and_leaves_the_parts(scene: Scene) -> None:
    def offered(part: PutPart) -> None:
        if part.span.number == 3:
            scene.fail("send", StoreError(403, "AccessDenied", "no"))

    scene.offered = offered
    error = failure(scene)
    assert error.kind is FailureKind.ACCESS
    assert str(error).startswith("part ")
    assert (str(error)[-16:], error.kept) == ("AccessDenied: no", Kept.PARTS)
    assert len(scene.store.uploads) == 1


def test_without_resuming_it_is_aborted(scene: Scene) -> None:
    scene.job = replace(JOB, parts=Parts(EACH, EACH, resume=False))
    scene.fail("complete", StoreError(403, "AccessDenied", "no"))
    assert failure(scene).kept is Kept.NOTHING
    assert scene.store.uploads == {}


def test_a_file_that_changed_is_said_to_have(scene: Scene) -> None:
    scene.offered = changes_at(scene, 4)
    with pytest.raises(Changed) as caught:
        scene.put()
    assert caught.value.kept is Kept.PARTS
    assert len(scene.store.uploads) == 1


def test_one_that_changed_before_anything_was_sent_leaves_nothing(scene: Scene) -> None:
    scene.offered = changes_at(scene, 1)
    with pytest.raises(Changed) as caught:
        scene.put()
    assert caught.value.kept is Kept.NOTHING
    assert scene.store.uploads == {}


def changes_at(scene: Scene, number: int) -> Callable[[PutPart], None]:
    """The file becomes another when that part is offered; from the fourth on others are sent."""

    def offered(part: PutPart) -> None:
        if part.span.number == number:
            scene.path.write_bytes(BODY[::-1])

    return offered


@pytest.mark.parametrize("now", [BODY[::-1], BODY[:8] + b"x" * 10])
def test_one_that_changed_is_sent_as_it_is_now_and_leaves_nothing(scene: Scene, now: bytes) -> None:
    def change(part: PutPart) -> None:
        if part.span.number == 3 and scene.path.read_bytes() == BODY:
            scene.path.write_bytes(now)

    scene.offered = change
    scene.put_again()
    assert (scene.object, scene.store.uploads) == (now, {})
    assert not any("already" in note for note in scene.told)


JUST_NOW = "Thu, 01 Jan 2026 00:10:00 GMT"


def test_of_an_upload_that_was_just_begun_every_part_has_to_be_ours(scene: Scene) -> None:
    scene.store.date = JUST_NOW
    theirs = scene.store.begin("key", {**cut(BODY), 4: b"x" * EACH})
    scene.put()
    assert scene.object == BODY
    assert sorted(scene.store.sent) == [1, 2, 3, 4, 5]
    assert list(scene.store.uploads) == [theirs]
    assert scene.store.uploads[theirs].parts == {**cut(BODY), 4: b"x" * EACH}


def test_of_one_that_changed_meanwhile_the_run_knows_its_own_upload(scene: Scene) -> None:
    now = b"!" + BODY[1:]

    def change(part: PutPart) -> None:
        if part.span.number == 4 and scene.path.read_bytes() == BODY:
            scene.path.write_bytes(now)

    scene.store.date = JUST_NOW
    scene.offered = change
    scene.put_again()
    assert (scene.object, scene.store.uploads) == (now, {})
    assert scene.store.sent.count(2) == 1


def test_a_run_that_ends_leaves_it_as_it_is(scene: Scene) -> None:
    def ending(part: PutPart) -> None:
        if part.span.number == 4:  # three are offered at once, so that one of them was sent
            raise RunEnding

    scene.offered = ending
    with pytest.raises(RunEnding):
        scene.put()
    assert len(scene.store.uploads) == 1
    assert scene.told == [f"{scene.path}: not finished; {Kept.PARTS.value}"]


@pytest.mark.parametrize("error", [None, StoreError(403, "AccessDenied", "")])
def test_what_has_no_parts_does_not_stay_if_that_can_be_told(
    scene: Scene, error: StoreError | None
) -> None:
    def ending(part: PutPart) -> None:
        raise RunEnding

    scene.offered = ending
    if error:
        scene.fail("parts", error)
    with pytest.raises(RunEnding):
        scene.put()
    assert len(scene.store.uploads) == len(scene.told) == bool(error)


def test_no_part_arrives_behind_the_end_of_an_upload_without_any(scene: Scene) -> None:
    """One is refused while the others are on their way: they stay for the next run."""
    scene.fail("send", StoreError(403, "AccessDenied", "no"))
    assert failure(scene).kept is Kept.PARTS
    assert len(scene.store.uploads) == 1
    assert scene.store.aborted == []


def test_without_resuming_it_leaves_nothing(scene: Scene) -> None:
    def ending(part: PutPart) -> None:
        raise RunEnding

    scene.job = replace(JOB, parts=Parts(EACH, EACH, resume=False))
    scene.offered = ending
    with pytest.raises(RunEnding):
        scene.put()
    assert (scene.store.uploads, scene.told) == ({}, [])


NO_ANSWER = NetworkError(WireError(Fault.SILENT, "no answer"))


def test_without_a_network_nobody_asks_what_is_there(scene: Scene) -> None:
    """That would take as many attempts again."""
    asked: list[str] = []

    def before(what: str, call: Call) -> None:
        asked.append(what)
        if what == "send":
            raise NO_ANSWER

    scene.store.before = before
    assert failure(scene).kind is FailureKind.NETWORK
    assert asked[asked.index("send") :] == ["send"] * asked.count("send")


@pytest.mark.parametrize("resume", [True, False])
def test_what_stays_because_the_run_cannot_go_on_is_said(scene: Scene, resume: bool) -> None:
    expired = FatalError("the keys have expired")
    scene.job = replace(JOB, parts=Parts(EACH, EACH, resume=resume))

    def before(what: str, call: Call) -> None:
        if what in ("complete", "parts", "abort"):
            raise expired

    scene.store.before = before
    with pytest.raises(FatalError):
        scene.put()
    assert len(scene.store.uploads) == 1
    (line,) = scene.told
    assert line.startswith(f"{scene.path}: not finished; its parts stay in the store")
    assert line.endswith("(s3pp clean removes them)")


@pytest.mark.parametrize("there", [True, False])
def test_what_should_not_stay_and_does_is_said(scene: Scene, there: bool) -> None:
    scene.job = replace(JOB, parts=Parts(EACH, EACH, resume=False))

    def before(what: str, call: Call) -> None:
        if what == "complete":
            raise StoreError(403, "AccessDenied", "no")
        if what == "abort":
            raise StoreError(403, "AccessDenied", "no") if there else GONE

    scene.store.before = before
    assert failure(scene).kept is (Kept.STUCK_PARTS if there else Kept.NOTHING)


# Headers, checksums


def test_a_store_that_tells_no_checksums_is_spoken_of(scene: Scene) -> None:
    scene.job = replace(JOB, objects=Objects(checksum="crc32"))
    scene.put()
    assert scene.told == [NO_CHECKSUMS]


def test_one_that_tells_them_is_not(scene: Scene) -> None:
    scene.job = replace(JOB, objects=Objects(checksum="crc32"))
    scene.store.tells = True
    scene.put()
    assert scene.told == []


@pytest.mark.parametrize(
    ("checksum", "told", "alarm"),
    [
        ("crc32", "right", False),
        ("crc32", "AAAAAA==", True),
        ("crc32", "AAAAAA==-5", True),
        ("sha256", "right", False),
        ("sha256", "AAAAAA==-5", True),
        ("sha256", "AAAAAA==", False),  # it may be that of the whole
        ("md5", "AAAAAA==", False),
    ],
)
def test_the_checksum_of_the_whole_is_compared(
    scene: Scene, checksum: str, told: str, alarm: bool
) -> None:
    scene.job = replace(JOB, objects=Objects(checksum=checksum))
    scene.store.tells = True
    value = whole(checksum) if told == "right" else told
    scene.store.more = f"<Checksum{checksum.upper()}>{value}</Checksum{checksum.upper()}>"
    if not alarm:
        assert scene.put().etag == etag(BODY)
        return
    error = failure(scene)
    assert error.kind is FailureKind.INTEGRITY
    assert value in str(error)
    assert whole(checksum, count="-5" if "-" in told else "") in str(error)


def whole(checksum: str, count: str = "") -> str:
    """Of the body; of its parts' checksums where there is a ``count``, or it is a hash."""
    if checksum == "crc32" and not count:
        return digest(checksum, [BODY])
    parts = [b64decode(digest(checksum, [part])) for part in cut(BODY).values()]
    return f"{digest(checksum, parts)}-5"


def test_what_its_etag_does_not_show_may_be_hidden_and_that_is_said(scene: Scene) -> None:
    """It tells as many parts, each of which the store has acknowledged."""
    scene.job = replace(JOB, objects=Objects(checksum="crc32"))
    scene.store.tells = True
    scene.fail("look", StoreError(403, "HTTP403", ""))
    assert scene.put().etag == etag(BODY)
    assert scene.told == [HIDDEN]


def test_an_object_that_is_not_there_is_no_success(scene: Scene) -> None:
    scene.job = replace(JOB, objects=Objects(checksum="crc32"))
    scene.store.tells = True
    scene.store.after = lambda found, call: scene.store.objects.clear()
    assert failure(scene).kind is FailureKind.INTEGRITY


def test_other_headers_mean_anew_and_that_is_said(scene: Scene) -> None:
    scene.store.begin("key", {1: b"aaaa"}, **{"x-amz-meta-colour": "red"})
    scene.headers = [("x-amz-meta-colour", "blue")]
    assert scene.put().sent == len(BODY)
    assert scene.store.objects["key"][2] == {"x-amz-meta-colour": "blue"}
    (line,) = scene.told
    assert "other headers" in line


def test_where_we_may_not_look_at_headers_they_are_taken_as_they_are(scene: Scene) -> None:
    scene.store.begin("key", {1: b"aaaa"}, **{"x-amz-meta-colour": "red"})
    scene.fail("look", StoreError(403, "Forbidden", ""))
    assert scene.put().sent == len(BODY) - EACH


def test_an_upload_that_takes_no_parts_of_ours_is_left_alone(scene: Scene) -> None:
    theirs = scene.store.begin("key", {1: b"aaaa"})

    def before(what: str, call: Call) -> None:
        if what == "send" and theirs in call.query:
            raise StoreError(400, "InvalidRequest", "Checksum Type mismatch occurred")

    scene.store.before = before
    assert scene.put().etag == etag(BODY)
    assert list(scene.store.uploads) == [theirs]
    assert "Checksum Type mismatch" in scene.told[0]


@pytest.mark.parametrize("runs", [1, 3])
def test_a_part_that_is_always_refused_leaves_one_upload(scene: Scene, runs: int) -> None:
    """However often it is tried; what the first run left is resumed, and never aborted."""
    scene.store.before = refuses(3)
    for _ in range(runs):
        error = failure(scene)
        assert (error.kind, error.kept) == (FailureKind.REJECTED, Kept.PARTS)
    (left,) = scene.store.uploads
    assert left not in scene.store.aborted
    assert len(scene.store.aborted) == runs - 1
    scene.store.before = lambda what, call: None
    assert scene.put().sent < len(BODY)


def test_of_somebody_elses_upload_not_even_then(scene: Scene) -> None:
    theirs = scene.store.begin("key", {1: b"aaaa"})
    scene.store.before = refuses(3)
    failure(scene)
    assert list(scene.store.uploads) == [theirs]


def test_what_fails_otherwise_beside_an_upload_that_refuses_us_stays(scene: Scene) -> None:
    """Its parts are the only ones that the next run can use."""
    theirs = scene.store.begin("key", {1: b"aaaa"})

    def before(what: str, call: Call) -> None:
        if what == "send" and theirs in call.query:
            raise StoreError(400, "InvalidRequest", "Checksum Type mismatch occurred")
        if what == "complete":
            raise StoreError(503, "SlowDown", "")

    scene.store.before = before
    assert failure(scene).kept is Kept.PARTS
    assert len(scene.store.uploads) == 2


def refuses(number: int) -> Callable[[str, Call], None]:
    def before(what: str, call: Call) -> None:
        if what == "send" and f"partNumber={number}&" in call.query:
            raise StoreError(400, "InvalidRequest", "no")

    return before


@pytest.mark.parametrize("checksum", ["crc32", "sha256"])
def test_equal_checksums_of_32_bits_are_not_enough(scene: Scene, checksum: str) -> None:
    """What is there by CRC32 is held against the MD5."""
    scene.job = replace(JOB, objects=Objects(checksum=checksum))
    scene.store.begin("key", cut(BODY))
    assert scene.put().sent == 0


# A body without a name


@pytest.mark.parametrize("openable", [True, False])
def test_what_another_process_cannot_open_is_sent_by_this_one(scene: Scene, openable: bool) -> None:
    """Its file has no name; /proc gives it one, as far as others may look there."""
    offered: list[str] = []

    async def main() -> CompletedUpload:
        async def run(part: PutPart) -> PartOutcome:
            offered.append(part.path)
            lost = PartFailed(part.span.number, FailureKind.UNREADABLE, "Permission denied")
            return await leads.sender.part(part) if openable else lost

        leads = FileUploader(JOB, scene.store, resources(run), scene.told.append)  # type: ignore[arg-type]
        entry = Entry("key", "/nowhere", 3, 0)
        with scene.path.open("rb") as file:
            scene.path.unlink()
            body = Slice(file.fileno(), "/nowhere")
            return await leads.put(upload_body(entry, body, (), is_shared=False))

    assert asyncio.run(main()).etag == etag(BODY)
    assert scene.object == BODY
    assert len(offered) == 5


def test_parts_know_their_number_and_size(scene: Scene) -> None:
    parts: list[Any] = []
    scene.offered = parts.append
    scene.put()
    assert [tuple(part.span) for part in parts] == [
        (1, 0, 4),
        (2, 4, 4),
        (3, 8, 4),
        (4, 12, 4),
        (5, 16, 2),
    ]
    assert PartDone(1, 4, "") < PartDone(2, 4, ""), "they are put in order by number"
