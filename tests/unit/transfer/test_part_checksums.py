"""``--checksum auto`` of uploads in parts: what is learned of a store, and what follows."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from hashlib import md5

import pytest

from s3pp.attributes import Objects
from s3pp.body_options import Parts
from s3pp.errors import FailureKind, ObjectError
from s3pp.integrity import checksums
from s3pp.integrity.checksum_choice import Support
from s3pp.integrity.checksums import ALGORITHMS, checksum
from s3pp.output import Output
from s3pp.s3.client import Call
from s3pp.s3.retry import StoreError

from .test_multipart_upload import BODY, EACH, JOB, Scene, cut, etag, scenes

CRC64 = "x-amz-checksum-crc64nvme"
AUTO = replace(JOB, objects=Objects(), output=Output(verbosity=1))
CREATED = "creation names it"


@pytest.fixture
def scene() -> Iterator[Scene]:
    """A store that keeps CRC64NVME, as S3 does; parts are of four bytes."""
    with scenes() as each:
        each.job = AUTO
        each.store.names = each.store.tells = True
        yield each


def of_aws(scene: Scene) -> None:
    scene.store.endpoint = scene.store.endpoint._replace(host="bkt.s3.amazonaws.com")


def whole() -> str:
    return checksum("crc64nvme", [BODY])


def refuse(scene: Scene, what: str, error: StoreError, *, always: bool = False) -> None:
    """Refuse requests that have a checksum, or all requests of a kind."""

    def before(found: str, call: Call) -> None:
        if found == what and (always or any("x-amz-checksum" in name for name, _ in call.headers)):
            raise error

    scene.store.before = before


@pytest.mark.parametrize("prepare", [of_aws, lambda scene: None], ids=["AWS", "another"])
def test_a_store_that_keeps_it_gets_it(scene: Scene, prepare: Callable[[Scene], None]) -> None:
    """Its answers prove the object, whatever its ETag: no HEAD is needed."""
    prepare(scene)
    scene.store.more = f"<ChecksumCRC64NVME>{whole()}</ChecksumCRC64NVME>"
    scene.fail("look", AssertionError("nothing is to be asked"))
    completed = scene.put()
    assert (completed.etag, completed.checksum) == (etag(BODY), "crc64nvme")
    assert all(part.checksum and not part.md5 for part in completed.parts)
    (completion,) = scene.store.completions
    assert (completion[CRC64], completion["x-amz-checksum-type"]) == (whole(), "FULL_OBJECT")
    assert scene.told == []


def test_aws_need_not_name_it(scene: Scene) -> None:
    of_aws(scene)
    scene.store.names = False
    assert scene.put().checksum == "crc64nvme"


def test_a_store_that_does_not_name_it_gets_md5_in_the_same_upload(scene: Scene) -> None:
    scene.store.names = False
    completed = scene.put()
    assert (completed.etag, completed.checksum) == (etag(BODY), "md5")
    assert scene.store.aborted == []
    assert scene.store.completions[0].keys() == {"x-amz-mp-object-size"}
    (line,) = scene.told
    assert line.startswith("https://bkt.example (s3://bkt) does not report that it keeps CRC64NVME")


def test_nor_does_one_that_keeps_only_checksums_of_checksums(scene: Scene) -> None:
    """SeaweedFS before 4.37."""
    scene.store.names = False
    named = "x-amz-checksum-algorithm: CRC64NVME\r\n", "x-amz-checksum-type: COMPOSITE\r\n"
    create = scene.store._create

    def creates(*args: object) -> object:
        answer = create(*args)  # type: ignore[arg-type]
        head = answer.response.head + "".join(named).encode()
        return answer._replace(response=answer.response._replace(head=head))

    scene.store._create = creates  # type: ignore[method-assign, assignment]
    assert scene.put().checksum == "md5"


REFUSALS = [
    StoreError(400, "InvalidArgument", "Unsupported header"),
    StoreError(501, "NotImplemented", "Header not implemented"),
    StoreError(403, "SignatureDoesNotMatch", "Invalid argument"),
]


@pytest.mark.parametrize("refusal", REFUSALS, ids=lambda each: each.code)
@pytest.mark.parametrize("what", ["create", "send", "complete"])
@pytest.mark.parametrize("prepare", [of_aws, lambda scene: None], ids=["AWS", "another"])
def test_a_store_that_refuses_it_gets_md5(
    scene: Scene, what: str, refusal: StoreError, prepare: Callable[[Scene], None]
) -> None:
    prepare(scene)
    refuse(scene, what, refusal)
    completed = scene.put()
    assert (completed.etag, completed.checksum) == (etag(BODY), "md5")
    assert scene.object == BODY
    assert scene.store.uploads == {}
    (notice,) = [line for line in scene.told if "Content-MD5" in line]
    assert refusal.code in notice


@pytest.mark.parametrize("kept", [True, False], ids=["resumable", "not resumable"])
def test_what_is_refused_without_it_too_fails_as_it_always_did(scene: Scene, kept: bool) -> None:
    scene.job = replace(AUTO, parts=Parts(EACH, EACH, resume=kept))
    refuse(scene, "send", StoreError(400, "EntityTooLarge", "no"), always=True)
    with pytest.raises(ObjectError, match="EntityTooLarge") as failed:
        scene.put()
    assert failed.value.kind is FailureKind.REJECTED
    assert len(scene.store.uploads) == 0


def test_a_store_that_insists_on_what_it_did_not_name_is_believed(scene: Scene) -> None:
    scene.store.names = False

    def before(what: str, call: Call) -> None:
        asked = any(upload.headers for upload in scene.store.uploads.values())
        if what == "send" and asked:
            raise StoreError(400, "InvalidRequest", "Checksum Type mismatch occurred")

    scene.store.before = before
    assert scene.put().checksum == "md5"
    assert len(scene.store.aborted) == 1


def test_parts_whose_checksum_is_not_returned_are_verified_by_their_md5(scene: Scene) -> None:
    scene.store.tells = False
    completed = scene.put()
    assert completed.checksum == "crc64nvme"
    assert all(part.md5 for part in completed.parts)
    assert "does not return the checksums of parts" in scene.told[0]


@pytest.mark.parametrize("is_aws", [True, False])
def test_another_checksum_of_the_whole(scene: Scene, is_aws: bool) -> None:
    """AWS computes it right, so that it has other bytes; others may combine it in another way."""
    if is_aws:
        of_aws(scene)
    scene.store.more = "<ChecksumCRC64NVME>AAAAAAAAAAA=</ChecksumCRC64NVME>"
    if not is_aws:
        assert scene.put().checksum == "md5"
        return
    with pytest.raises(ObjectError, match="AAAAAAAAAAA=") as failed:
        scene.put()
    assert failed.value.kind is FailureKind.INTEGRITY


@pytest.mark.parametrize(("sent_with", "resumed_with"), [("crc64nvme",) * 2, ("md5",) * 2])
def test_an_upload_is_resumed_with_the_checksum_of_its_parts(
    scene: Scene, sent_with: str, resumed_with: str
) -> None:
    upload = scene.store.begin("key", {1: b"aaaa", 2: b"bbbb"})
    if sent_with == "crc64nvme":
        parts = cut(BODY)
        scene.store.uploads[upload].crcs = {n: checksum(sent_with, [parts[n]]) for n in (1, 2)}
    completed = scene.put()
    assert completed.is_resumed
    assert (completed.checksum, completed.sent) == (resumed_with, len(BODY) - 2 * EACH)
    assert completed.etag == etag(BODY)


@pytest.mark.parametrize("refusal", [StoreError(400, "BadDigest", ""), *REFUSALS])
def test_a_found_upload_that_is_refused_for_it_is_left_alone(
    scene: Scene, refusal: StoreError
) -> None:
    """It may be another client's."""
    upload = scene.store.begin("key", {1: b"aaaa"})
    scene.store.uploads[upload].crcs[1] = checksum("crc64nvme", [b"aaaa"])
    refuse(scene, "complete", refusal)
    assert scene.put().checksum == "md5"
    assert list(scene.store.uploads) == [upload]


def test_without_awscrt_it_is_md5_and_that_is_said(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether nothing is installed, or what is cannot be loaded."""
    of_aws(scene)
    monkeypatch.setattr(checksums, "_crc", lambda name: None)
    for installed in (True, False):
        monkeypatch.setattr(checksums, "_has_awscrt", lambda there=installed: there)
        scene.told.clear()
        assert scene.put().checksum == "md5"
        assert scene.told == [
            "CRC64NVME needs awscrt, which cannot be imported: "
            "large objects are sent with Content-MD5"
        ]
    scene.job = replace(AUTO, output=Output())
    scene.told.clear()
    assert scene.put().checksum == "md5"
    assert scene.told == []


def test_a_stream_is_sent_to_other_stores_with_md5(scene: Scene) -> None:
    from s3pp.transfer.part_checksums import PartChecksums

    from .buckets import resources

    notes: list[str] = []
    learning = PartChecksums(AUTO, scene.store.endpoint, resources().reader, notes.append)
    assert learning.choose(is_repeatable=False).name == "md5"
    learning._traits = learning._traits._replace(support=Support.KEPT)
    assert learning.choose(is_repeatable=False).name == "crc64nvme"


def test_the_etag_is_that_of_the_parts_whatever_the_checksum(scene: Scene) -> None:
    """So ``update`` recognizes the object by hashing the file in those parts."""
    scene.put()
    made = md5(b"".join(md5(part).digest() for part in cut(BODY).values())).hexdigest()
    assert scene.store.objects["key"][1] == f"{made}-5"
    assert ALGORITHMS["crc64nvme"].is_strong
