"""The putter: every way a task can end, against a scripted bucket and preparer."""

from __future__ import annotations

import asyncio
from base64 import b64encode
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import md5, sha256
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from s3pp.attributes import Objects
from s3pp.errors import FailureKind, FatalError, ObjectError
from s3pp.integrity.checksums import Digester, checksum
from s3pp.integrity.etag import etag_of_md5s
from s3pp.job import Job, Mode
from s3pp.limits import PIECE, SMALL
from s3pp.places import Place
from s3pp.records import Dest, Done, Entry, Failed, Foreseen, Outcome, PutTask, SendReason, Skipped
from s3pp.records import SkipReason as Skip
from s3pp.s3.answers import Answer
from s3pp.s3.endpoint import Endpoint
from s3pp.s3.exchange import Fault, Response, WireError
from s3pp.s3.retry import NetworkError, StoreError
from s3pp.transfer.bodies import Changed
from s3pp.transfer.conditional_write import SURE
from s3pp.transfer.object_headers import static_headers
from s3pp.transfer.put.prepare import Prepared, Preparer
from s3pp.transfer.put.putter import Putter
from s3pp.transfer.resources import Budget, Reader, WorkerResources
from s3pp.transfer.resume import OwnUploads

from .buckets import Workers

ENTRY = Entry("key", "/src/key", 4, 0)
ENDPOINT = Endpoint("https", "bucket.example", "", "us-east-1", "bucket")
BODY = b"body"
DIGESTS = Digester("md5", md5=True, signed=False).of_body(BODY)
MD5, OTHER = DIGESTS.md5, "f" * 32
EVERYTHING = 1000  # bytes of the budget

TAKEN = StoreError(412, "PreconditionFailed", "")
REFUSED = StoreError(501, "NotImplemented", "A header you provided implies functionality")


def stored(etag: str = MD5, *headers: bytes, attempts: int = 1) -> Answer:
    lines = [b"HTTP/1.1 200 OK\r\n", b'ETag: "%s"\r\n' % etag.encode(), *headers]
    return Answer(Response(200, b"".join(lines), b""), attempts)


@dataclass
class Sent:
    """One PUT as the bucket saw it."""

    key: str
    body: bytes
    headers: dict[str, str]
    payload_hash: str

    @property
    def conditional(self) -> bool:
        return self.headers.get("if-none-match") == "*"


@dataclass
class Script:
    """A bucket and a source that do as they are told; what comes last goes on for ever."""

    puts: list[Any] = field(default_factory=lambda: [stored()])  # Answer, or an exception
    heads: list[Any] = field(default_factory=lambda: [None])  # Dest, None, or an exception
    looks: list[Any] = field(default_factory=lambda: [None])  # Answer, None, or an exception
    readings: list[Any] = field(default_factory=lambda: [BODY])  # bytes, or an exception
    checks: list[Any] = field(default_factory=lambda: [None])  # None, or an exception
    endpoint: Endpoint = ENDPOINT
    checksum: str = "md5"
    budget: Budget = field(default_factory=lambda: Budget(EVERYTHING))
    sent: list[Sent] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    looked: list[str] = field(default_factory=list)
    prepared: int = 0
    closed: int = 0

    async def put(
        self, key: str, body: bytes, *, headers: Sequence[tuple[str, str]], payload_hash: str
    ) -> Answer:
        assert len(dict(headers)) == len(headers), "a header is given twice"
        self.sent.append(Sent(key, body, dict(headers), payload_hash))
        return _next(self.puts)  # type: ignore[no-any-return]

    async def head(self, key: str) -> Dest | None:
        self.asked.append(key)
        return _next(self.heads)  # type: ignore[no-any-return]

    async def look(self, key: str, *, headers: Sequence[tuple[str, str]]) -> Answer | None:
        assert ("x-amz-checksum-mode", "ENABLED") in headers
        self.looked.append(key)
        return _next(self.looks)  # type: ignore[no-any-return]


class Source(Preparer):
    """A preparer over a real file, which changes as the script says."""

    def __init__(self, script: Script, job: Job, path: str, reader: Reader) -> None:
        super().__init__(job, script, reader)  # type: ignore[arg-type]
        self._script = script
        self._path = path

    async def prepare(self, entry: Entry, there: Dest | None = None) -> Prepared:
        script = self._script
        content = _next(script.readings)
        with open(self._path, "wb") as stream:
            stream.write(content)
        prepared = await super().prepare(entry._replace(path=self._path), there)
        script.prepared += 1
        prepared.source = Open(script)  # type: ignore[assignment]
        return prepared


@dataclass
class Open:
    """A source that is open, and changes as the script says."""

    script: Script

    def check(self) -> None:
        _next(self.script.checks)

    def close(self) -> None:
        self.script.closed += 1


def _next(answers: list[Any]) -> Any:
    answer = answers.pop(0) if len(answers) > 1 else answers[0]
    if isinstance(answer, BaseException):
        raise answer
    return answer


@contextmanager
def putter(script: Script, mode: Mode, **settings: Any) -> Iterator[Putter]:
    settings.setdefault("objects", Objects(checksum=script.checksum))
    job = Job("put", (), Place("bucket"), mode=mode, **settings)
    with TemporaryDirectory() as directory:
        reader = Reader(ThreadPoolExecutor(1))
        source = Source(script, job, f"{directory}/key.txt", reader)
        resources = WorkerResources(reader, script.budget, Workers(), OwnUploads())
        yield Putter(job, script, source, resources)  # type: ignore[arg-type]


def run(
    script: Script,
    mode: Mode = Mode.UPDATE,
    dest: Dest | None = None,
    *,
    ask: bool = False,
    **settings: Any,
) -> Outcome:
    """Put one task; whatever happened, nothing stays open and the budget is whole."""

    async def main() -> Outcome:
        try:
            with putter(script, mode, **settings) as each:
                return await each.transfer(PutTask(ENTRY, dest, ask))
        finally:
            await asyncio.wait_for(script.budget.take(EVERYTHING), 5)
            assert script.closed == script.prepared

    return asyncio.run(main())


def done(reason: SendReason, etag: str = MD5, attempts: int = 1) -> Done:
    return Done("/src/key", "key", 4, 4, etag, reason, attempts, checksum="md5")


def skipped(reason: Skip, dest_size: int | None = None) -> Skipped:
    return Skipped("/src/key", "key", 4, reason, dest_size=dest_size)


def failure(outcome: Outcome) -> FailureKind:
    assert isinstance(outcome, Failed)
    assert (outcome.source, outcome.target) == ("/src/key", "key")
    assert outcome.message
    assert "\n" not in outcome.message
    return outcome.kind


# Sending and skipping


@pytest.mark.parametrize(
    ("mode", "dest", "reason"),
    [
        (Mode.ADD, None, SendReason.NEW),
        (Mode.STUPID, None, SendReason.ALWAYS),
        (Mode.UPDATE, None, SendReason.NEW),
        (Mode.UPDATE, Dest(5, MD5), SendReason.SIZE),
        (Mode.UPDATE, Dest(4, OTHER), SendReason.ETAG),
        (Mode.UPDATE, Dest(4, f"{MD5}-1"), SendReason.UNKNOWN),
    ],
)
def test_what_is_to_be_sent_is_sent_once(mode: Mode, dest: Dest | None, reason: SendReason) -> None:
    script = Script(puts=[stored(attempts=3)])
    assert run(script, mode, dest) == done(reason, attempts=3)
    (sent,) = script.sent
    assert (sent.key, sent.body, sent.payload_hash) == ("key", BODY, DIGESTS.payload_hash)
    assert sent.headers["content-md5"] == DIGESTS.header[1]
    assert sent.headers["content-type"] == "text/plain"
    assert sent.conditional == (mode is Mode.ADD)
    assert script.asked == []


def test_update_skips_the_same_content() -> None:
    script = Script()
    assert run(script, Mode.UPDATE, Dest(4, MD5)) == skipped(Skip.SAME_ETAG)
    assert (script.sent, script.asked) == ([], [])


def test_an_object_in_parts_that_is_the_same_is_skipped_unasked() -> None:
    script = Script()
    dest = Dest(4, etag_of_md5s([bytes.fromhex(MD5)]))
    assert run(script, dest=dest) == skipped(Skip.SAME_ETAG)
    assert (script.sent, script.looked) == ([], [])


IN_PARTS = Dest(4, f"{MD5}-1")
SHA = b"x-amz-checksum-sha256: %s\r\n"


@pytest.mark.parametrize(
    ("body", "outcome"),
    [(BODY, skipped(Skip.SAME_CHECKSUM)), (b"else", done(SendReason.CHECKSUM))],
)
def test_where_the_etag_tells_nothing_the_checksum_may(body: bytes, outcome: Outcome) -> None:
    line = SHA % b64encode(sha256(body).digest())
    script = Script(looks=[stored(IN_PARTS.etag, line, b"Content-Length: 4\r\n")])
    assert run(script, dest=IN_PARTS) == outcome
    assert script.looked == ["key"]
    assert len(script.sent) == isinstance(outcome, Done)


def test_what_changed_while_its_checksum_was_compared_is_read_again() -> None:
    line = SHA % b64encode(sha256(BODY).digest())
    same = stored(IN_PARTS.etag, line, b"Content-Length: 4\r\n")
    script = Script(looks=[same], checks=[Changed("/src/key"), None])
    assert run(script, dest=IN_PARTS) == skipped(Skip.SAME_CHECKSUM)
    assert script.prepared == 2


LARGE = b"0123456789abcdef" * (SMALL // 8)
LARGE_MD5 = md5(LARGE).hexdigest()
LARGE_PARTED = Dest(len(LARGE), etag_of_md5s([bytes.fromhex(LARGE_MD5)]))


@pytest.mark.parametrize("mode", [Mode.ADD, Mode.STUPID])
def test_other_modes_compare_no_parts(mode: Mode) -> None:
    script = Script(puts=[stored(LARGE_MD5)], readings=[LARGE])
    outcome = run(script, mode, LARGE_PARTED)
    if mode is Mode.ADD:
        assert outcome == skipped(Skip.EXISTS, len(LARGE))
    else:
        assert isinstance(outcome, Done)
        assert outcome.reason is SendReason.ALWAYS
    assert script.looked == []


def test_what_is_sent_again_is_not_compared_with_what_it_replaced() -> None:
    """The verdict stays: what is there may be our own by now."""
    script = Script(puts=[stored(OTHER), stored(LARGE_MD5)], readings=[LARGE[::-1], LARGE])
    outcome = run(script, dest=LARGE_PARTED)
    assert isinstance(outcome, Done)
    assert outcome.reason is SendReason.UNKNOWN
    assert len(script.sent) == 2


def test_add_skips_an_object_without_reading_the_source() -> None:
    script = Script()
    assert run(script, Mode.ADD, Dest(9, OTHER)) == skipped(Skip.EXISTS, 9)
    assert (script.prepared, script.sent) == (0, [])


@pytest.mark.parametrize(
    ("mode", "head", "outcome"),
    [
        (Mode.ADD, Dest(9, OTHER), skipped(Skip.EXISTS, 9)),
        (Mode.ADD, None, done(SendReason.NEW)),
        (Mode.UPDATE, Dest(4, MD5), skipped(Skip.SAME_ETAG)),
        (Mode.UPDATE, Dest(4, OTHER), done(SendReason.ETAG)),
        (Mode.UPDATE, None, done(SendReason.NEW)),
        (Mode.UPDATE, StoreError(403, "AccessDenied", ""), done(SendReason.NEW)),
    ],
)
def test_where_the_listing_could_not_tell_the_key_is_asked_for(
    mode: Mode, head: Any, outcome: Outcome
) -> None:
    script = Script(heads=[head])
    assert run(script, mode, ask=True) == outcome
    assert script.asked == ["key"]
    assert len(script.sent) == isinstance(outcome, Done)


def test_a_head_that_fails_fails_the_object() -> None:
    script = Script(heads=[StoreError(500, "InternalError", "broken")])
    assert failure(run(script, ask=True)) is FailureKind.STORE
    assert script.sent == []


@pytest.mark.parametrize("mode", list(Mode))
@pytest.mark.parametrize("ask", [False, True])
def test_a_dry_run_sends_nothing(mode: Mode, ask: bool) -> None:
    script = Script(heads=[Dest(4, OTHER)] if mode is Mode.UPDATE else [None])

    async def main() -> Outcome:
        with putter(script, mode, dry_run=True) as each:
            return await each.transfer(PutTask(ENTRY, None, ask))

    outcome = asyncio.run(main())
    assert isinstance(outcome, Done)
    assert outcome.reason is {
        (Mode.STUPID, False): SendReason.ALWAYS,
        (Mode.STUPID, True): SendReason.ALWAYS,
        (Mode.UPDATE, True): SendReason.ETAG,
    }.get((mode, ask), SendReason.NEW)
    assert outcome.foreseen == Foreseen((("PutObject", 1),))
    assert script.sent == []
    assert len(script.asked) == ask


# The condition of mode add


@pytest.mark.parametrize(
    ("head", "outcome"),
    [
        (Dest(4, MD5), done(SendReason.NEW)),  # our own: the answer to an attempt was lost
        (Dest(4, OTHER), skipped(Skip.EXISTS)),
        (Dest(5, MD5), skipped(Skip.EXISTS, 5)),
        (StoreError(403, "AccessDenied", ""), skipped(Skip.EXISTS)),
    ],
)
def test_a_key_found_taken_is_looked_at(head: Any, outcome: Outcome) -> None:
    script = Script(puts=[TAKEN], heads=[head])
    assert run(script, Mode.ADD) == outcome
    assert len(script.sent) == len(script.asked) == 1


@pytest.mark.parametrize("mode", [Mode.STUPID, Mode.UPDATE])
def test_a_412_that_was_not_asked_for_is_a_failure(mode: Mode) -> None:
    assert failure(run(Script(puts=[TAKEN]), mode)) is FailureKind.REJECTED


def several(script: Script, count: int, mode: Mode = Mode.ADD) -> tuple[list[Outcome], Putter]:
    async def main() -> tuple[list[Outcome], Putter]:
        with putter(script, mode) as each:
            return [await each.transfer(PutTask(ENTRY, None)) for _ in range(count)], each

    return asyncio.run(main())


def test_a_store_that_refuses_the_condition_is_asked_instead() -> None:
    script = Script(puts=[REFUSED, stored()])
    outcomes, each = several(script, 1)
    assert outcomes == [done(SendReason.NEW)]
    assert [sent.conditional for sent in script.sent] == [True, False]
    assert script.asked == ["key"]
    (note,) = each.notes
    assert "If-None-Match" in note


def test_an_object_found_by_asking_instead_is_skipped() -> None:
    script = Script(puts=[REFUSED], heads=[Dest(4, OTHER)])
    assert run(script, Mode.ADD) == skipped(Skip.EXISTS)
    assert len(script.sent) == 1


def test_the_refusal_is_noted_once_and_later_objects_are_asked_for() -> None:
    """As the note says: mode add asks with HEAD then."""
    script = Script(puts=[REFUSED, stored()] * SURE)
    outcomes, each = several(script, SURE + 2)
    assert outcomes == [done(SendReason.NEW)] * (SURE + 2)
    assert [sent.conditional for sent in script.sent] == [True, False] * SURE + [False] * 2
    assert len(each.notes) == 1
    assert len(script.asked) == SURE + 2


def test_one_object_that_is_refused_costs_no_other_its_condition() -> None:
    script = Script(puts=[stored(), REFUSED, REFUSED, REFUSED, stored()])
    outcomes, _ = several(script, 4)
    assert failure(outcomes[1]) is FailureKind.STORE
    assert [outcomes[n] for n in (0, 2, 3)] == [done(SendReason.NEW)] * 3
    assert [sent.conditional for sent in script.sent] == [True, True, False, True, False, True]
    assert len(script.asked) == 2


@pytest.mark.parametrize("second", [REFUSED, TAKEN], ids=["refused", "taken"])
def test_requests_in_flight_when_the_condition_is_refused_fall_back_too(second: Exception) -> None:
    """They were sent with the condition, and their answers come once it has been given up."""
    script = Script(heads=[None] * 3 if second is REFUSED else [None, Dest(4, OTHER)])
    all_sent = asyncio.Event()
    answers = [REFUSED, second, second]

    async def put(key: str, body: bytes, *, headers: Any, payload_hash: str) -> Answer:
        script.sent.append(Sent(key, body, dict(headers), payload_hash))
        if not script.sent[-1].conditional:
            return stored()
        if len(script.sent) == 3:
            all_sent.set()
        await all_sent.wait()
        raise answers.pop(0)

    script.put = put  # type: ignore[method-assign]

    async def main() -> tuple[list[Outcome], list[str]]:
        with putter(script, Mode.ADD) as each:
            tasks = [each.transfer(PutTask(ENTRY, None)) for _ in range(3)]
            return await asyncio.gather(*tasks), each.notes

    outcomes, notes = asyncio.run(main())
    others = done(SendReason.NEW) if second is REFUSED else skipped(Skip.EXISTS)
    assert sorted(outcomes, key=repr) == [done(SendReason.NEW), others, others]
    assert len(notes) == 1


@pytest.mark.parametrize("code", ["InvalidArgument", "InvalidRequest", "InvalidTag"])
def test_another_refusal_is_not_taken_for_one_of_the_condition(code: str) -> None:
    """Were it given up for one bad object, others could be overwritten."""
    script = Script()

    async def put(key: str, body: bytes, *, headers: Any, payload_hash: str) -> Answer:
        script.sent.append(Sent(key, body, dict(headers), payload_hash))
        if key == "bad":
            raise StoreError(400, code, "the header is not valid")
        return stored()

    script.put = put  # type: ignore[method-assign]

    async def main() -> list[str]:
        with putter(script, Mode.ADD) as each:
            bad = await each.transfer(PutTask(ENTRY._replace(key="bad"), None))
            assert isinstance(bad, Failed)
            assert bad.kind is FailureKind.REJECTED
            assert await each.transfer(PutTask(ENTRY, None)) == done(SendReason.NEW)
            return each.notes

    assert asyncio.run(main()) == []
    assert script.sent[-1].conditional


# Integrity


def test_an_etag_of_other_bytes_is_read_and_sent_again() -> None:
    script = Script(puts=[stored(OTHER), stored()])
    assert run(script) == done(SendReason.NEW)
    assert (script.prepared, len(script.sent)) == (2, 2)


@pytest.mark.parametrize("mode", [Mode.STUPID, Mode.UPDATE])
@pytest.mark.parametrize(
    "put", [stored(OTHER), StoreError(400, "BadDigest", "the MD5 did not match")]
)
def test_a_store_that_always_gets_other_bytes_fails_the_object(put: Any, mode: Mode) -> None:
    script = Script(puts=[put])
    assert failure(run(script, mode)) is FailureKind.INTEGRITY
    assert 2 <= len(script.sent) <= 5


@pytest.mark.parametrize(
    "answer",
    [
        stored(f"{MD5}-1"),
        stored(OTHER, b"x-amz-server-side-encryption: aws:kms\r\n"),
        stored(OTHER, b"x-amz-server-side-encryption: aws:kms:dsse\r\n"),
    ],
    ids=["multipart", "kms", "dsse"],
)
def test_an_etag_that_is_no_md5_is_no_false_alarm(answer: Answer) -> None:
    script = Script(puts=[answer])
    assert run(script) == done(SendReason.NEW, answer.etag)
    assert (len(script.sent), script.looked) == (1, [])


def shown(size: int, etag: str) -> Answer:
    """What a HEAD shows."""
    lines = [b"HTTP/1.1 200 OK\r\n", f'ETag: "{etag}"\r\n'.encode()]
    return Answer(Response(200, b"".join([*lines, f"Content-Length: {size}\r\n".encode()]), b""), 1)


def test_where_no_etag_is_told_one_look_shows_the_object() -> None:
    script = Script(puts=[stored("")], looks=[shown(len(BODY), MD5)])
    assert run(script) == done(SendReason.NEW, MD5)
    assert (len(script.sent), len(script.looked)) == (1, 1)


@pytest.mark.parametrize(
    "seen",
    [None, shown(len(BODY) - 1, "opaque"), shown(len(BODY), OTHER), StoreError(403, "HTTP403", "")],
    ids=["absent", "shorter", "other MD5", "hidden"],
)
def test_what_that_does_not_show_is_sent_again_and_fails(seen: Any) -> None:
    script = Script(puts=[stored("")], looks=[seen])
    assert failure(run(script)) is FailureKind.INTEGRITY
    assert len(script.sent) == 3


def test_an_etag_stays_an_md5_under_the_stores_own_key() -> None:
    answer = stored(OTHER, b"x-amz-server-side-encryption: AES256\r\n")
    assert failure(run(Script(puts=[answer]))) is FailureKind.INTEGRITY


def test_the_etags_of_directory_buckets_say_nothing() -> None:
    script = Script(puts=[stored(OTHER)], endpoint=ENDPOINT._replace(bucket="b--x-s3"))
    assert run(script) == done(SendReason.NEW, OTHER)


def test_without_an_md5_the_etag_is_not_compared() -> None:
    script = Script(puts=[stored(OTHER)], checksum="crc32")
    sent = done(SendReason.ALWAYS, OTHER)._replace(checksum="crc32")
    assert run(script, Mode.STUPID) == sent


def test_a_source_that_changed_is_read_again() -> None:
    script = Script(readings=[Changed("/src/key"), b"torn", BODY], checks=[Changed("k"), None])
    script.puts = [stored(Digester("md5", md5=True, signed=False).of_body(b"torn").md5), stored()]
    assert run(script) == done(SendReason.NEW)
    assert script.sent[-1].body == BODY


def test_a_source_that_keeps_changing_fails() -> None:
    script = Script(readings=[Changed("/src/key")] * 2 + [BODY, Changed("/src/key")])
    script.checks = [Changed("/src/key")]
    assert failure(run(script)) is FailureKind.CHANGED
    assert len(script.sent) <= 1


def test_a_stream_that_keeps_changing_fails() -> None:
    script = Script(checks=[Changed("/src/key")])
    assert failure(run(script)) is FailureKind.CHANGED
    assert 2 <= len(script.sent) <= 5


def holds_what_was_put(script: Script, store: Callable[[bytes], bytes]) -> None:
    """Make the bucket keep objects: ``store`` says what becomes of a body on its way."""
    held: list[bytes] = []

    async def put(key: str, body: bytes, *, headers: Any, payload_hash: str) -> Answer:
        script.sent.append(Sent(key, body, dict(headers), payload_hash))
        if held and script.sent[-1].conditional:
            raise TAKEN
        held[:] = [store(body)]
        return stored(Digester("md5", md5=True, signed=False).of_body(held[0]).md5)

    async def head(key: str) -> Dest | None:
        script.asked.append(key)
        md5s = [Digester("md5", md5=True, signed=False).of_body(body).md5 for body in held]
        return Dest(len(held[0]), md5s[0]) if held else None

    script.put, script.head = put, head  # type: ignore[method-assign]


def verdict(outcome: Outcome, held: bytes) -> bool:
    """Whether the outcome is honest: the object is right, or it is listed as failed."""
    return isinstance(outcome, Failed) or held == BODY


def test_add_never_skips_what_it_wrote_wrong_itself() -> None:
    """The first PUT stored other bytes; the second meets them as "exists"."""
    script = Script()
    stored_bodies: list[bytes] = []

    def store(body: bytes) -> bytes:
        stored_bodies.append(b"flip" if not stored_bodies else body)
        return stored_bodies[-1]

    holds_what_was_put(script, store)
    outcome = run(script, Mode.ADD)
    assert verdict(outcome, stored_bodies[-1]), outcome


def test_add_never_skips_a_torn_copy_of_its_own() -> None:
    """The source changed while it was sent: what was stored is neither the old nor the new."""
    script = Script(readings=[b"torn", BODY], checks=[Changed("/src/key"), None])
    stored_bodies: list[bytes] = []

    def store(body: bytes) -> bytes:
        stored_bodies.append(body)
        return body

    holds_what_was_put(script, store)
    outcome = run(script, Mode.ADD)
    assert verdict(outcome, stored_bodies[-1]), outcome


def test_update_does_not_trust_the_listing_once_it_has_written() -> None:
    """The source was changed and changed back; the store holds the copy in between."""
    script = Script(readings=[b"torn", BODY], checks=[Changed("/src/key"), None])
    stored_bodies: list[bytes] = []

    def store(body: bytes) -> bytes:
        stored_bodies.append(body)
        return body

    holds_what_was_put(script, store)
    outcome = run(script, Mode.UPDATE, Dest(4, MD5))
    assert verdict(outcome, stored_bodies[-1]), outcome


@pytest.mark.parametrize("checksum", ["md5", "crc32"])
def test_our_own_put_whose_answer_was_lost_is_done(checksum: str) -> None:
    """The wire sent it twice; the second attempt met the first one's object."""
    script = Script(puts=[TAKEN], heads=[Dest(4, MD5)], checksum=checksum)
    assert isinstance(run(script, Mode.ADD), Done)


# Failing


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (StoreError(403, "AccessDenied", "no"), FailureKind.ACCESS),
        (StoreError(400, "InvalidRequest", "no"), FailureKind.REJECTED),
        (StoreError(503, "SlowDown", "later"), FailureKind.STORE),
        (NetworkError(WireError(Fault.CONNECTION, "refused")), FailureKind.NETWORK),
        (ObjectError(FailureKind.STORE, "given up"), FailureKind.STORE),
    ],
    ids=repr,
)
def test_what_the_store_refuses_has_failed(error: Exception, kind: FailureKind) -> None:
    script = Script(puts=[error])
    assert failure(run(script)) is kind
    assert len(script.sent) == 1


def test_a_source_that_cannot_be_read_has_failed() -> None:
    script = Script(readings=[ObjectError(FailureKind.NOT_FOUND, "/src/key vanished")])
    assert failure(run(script)) is FailureKind.NOT_FOUND
    assert script.sent == []


@pytest.mark.parametrize("error", [RuntimeError("two\nlines"), KeyError("x")])
@pytest.mark.parametrize("where", ["puts", "readings", "heads"])
def test_a_defect_of_ours_fails_one_object(error: Exception, where: str) -> None:
    script = Script()
    setattr(script, where, [error])
    assert failure(run(script, ask=True)) is FailureKind.INTERNAL


@pytest.mark.parametrize("where", ["puts", "readings", "heads"])
def test_what_ends_the_run_is_passed_on(where: str) -> None:
    script = Script()
    setattr(script, where, [FatalError("the keys have expired")])
    with pytest.raises(FatalError, match="expired"):
        run(script, ask=True)


class Taken(Budget):
    """A budget that remembers what was taken."""

    def __init__(self) -> None:
        super().__init__(16 * PIECE)
        self.taken: list[int] = []

    def take_at_once(self, count: int) -> bool:
        self.taken.append(count)
        return super().take_at_once(count)


@pytest.mark.parametrize(
    ("size", "held"), [(0, 1), (1, 1), (SMALL, SMALL), (SMALL + 1, PIECE), (1 << 40, PIECE)]
)
def test_what_a_body_holds_of_the_budget(size: int, held: int) -> None:
    """As the walk saw its size; a large one is streamed."""
    budget = Taken()
    with putter(Script(budget=budget), Mode.STUPID) as role:
        asyncio.run(role.transfer(PutTask(ENTRY._replace(size=size), None)))
    assert budget.taken == [held]


def test_a_body_larger_than_the_budget_is_put_all_the_same() -> None:
    script = Script(budget=Budget(1))

    async def main() -> Outcome:
        with putter(script, Mode.STUPID) as each:
            return await asyncio.wait_for(each.transfer(PutTask(ENTRY, None)), 5)

    assert isinstance(asyncio.run(main()), Done)


# The headers every object is given


def test_every_setting_becomes_its_header() -> None:
    objects = Objects(
        content_type="text/x",
        headers=(("Cache-Control", "max-age=60"), ("Content-Type", "a/b")),
        metadata=(("Owner", "me"),),
        tags=(("a b", "c&d=e"), ("é", "")),
        acl="public-read",
        storage_class="STANDARD_IA",
        sse="aws:kms",
        sse_kms_key_id="key-id",
    )
    assert dict(static_headers(objects)) == {
        "cache-control": "max-age=60",
        "x-amz-meta-owner": "me",
        "x-amz-tagging": "a%20b=c%26d%3De&%C3%A9=",
        "x-amz-acl": "public-read",
        "x-amz-storage-class": "STANDARD_IA",
        "x-amz-server-side-encryption": "aws:kms",
        "x-amz-server-side-encryption-aws-kms-key-id": "key-id",
    }


def test_nothing_asked_for_is_nothing_sent() -> None:
    assert list(static_headers(Objects())) == []


def test_the_headers_go_with_every_object() -> None:
    script = Script()
    run(script, Mode.STUPID, objects=Objects(acl="private"))
    assert script.sent[0].headers["x-amz-acl"] == "private"


# Objects whose ETag is no MD5

KMS = Objects(sse="aws:kms")
KMS_LINE = b"x-amz-server-side-encryption: aws:kms\r\n"
CRC64 = b"x-amz-checksum-crc64nvme: %s\r\n"
AWS = ENDPOINT._replace(host="bucket.s3.amazonaws.com")


def crc64(body: bytes) -> bytes:
    return checksum("crc64nvme", [body]).encode()


def test_an_etag_that_is_no_md5_leaves_the_proof_to_the_checksum() -> None:
    """What AWS returns of it is compared; other bytes are read and sent again."""
    right = stored(OTHER, KMS_LINE, CRC64 % crc64(BODY))
    wrong = stored(OTHER, KMS_LINE, CRC64 % crc64(b"else"))
    script = Script(puts=[wrong, right], endpoint=AWS)
    expected = done(SendReason.NEW, OTHER)._replace(checksum="crc64nvme")
    assert run(script, objects=KMS) == expected
    assert len(script.sent) == 2
    assert script.sent[0].headers["x-amz-checksum-crc64nvme"] == crc64(BODY).decode()
    assert "content-md5" not in script.sent[0].headers
    assert failure(run(Script(puts=[wrong], endpoint=AWS), objects=KMS)) is FailureKind.INTEGRITY


@pytest.mark.parametrize(
    ("body", "reason"), [(BODY, Skip.SAME_CHECKSUM), (b"else", SendReason.CHECKSUM)]
)
def test_under_a_kms_key_the_checksum_decides(body: bytes, reason: Skip | SendReason) -> None:
    """The ETag looks like an MD5, and differs from that of an unchanged file."""
    there = stored(OTHER, KMS_LINE, CRC64 % crc64(body), b"Content-Length: 4\r\n")
    script = Script(looks=[there], endpoint=AWS)
    outcome = run(script, dest=Dest(4, OTHER), objects=KMS)
    assert isinstance(outcome, (Done, Skipped))
    assert outcome.reason is reason
    assert script.looked == ["key"]
