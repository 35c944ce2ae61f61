"""Faults while a large object is sent in parts. Rows 10, 12, 13, 30, 31 and 59 of the catalogue."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from faults.accounting import Ending, check_all_done
from faults.changes import grow, rewrite, rewrite_and_backdate
from faults.large import (
    PART,
    SIZE,
    SMALL_PARTS,
    STAY,
    compound,
    late_error,
    pattern,
    sent,
    there,
    uploads,
)
from faults.trials import PutTrial
from stores.fault_actions import (
    Call,
    FlipBit,
    LoseResponse,
    Request,
    Response,
    Rewrite,
    Say,
    SetHeaders,
    Status,
    chain,
)
from stores.fault_proxy import Rule

COMPLETE = ("POST", "uploadId=")
Change = Callable[[Path], None]


def put(trial: PutTrial, *options: str) -> Ending:
    return trial.run(*SMALL_PARTS, *options)


def check_sent(trial: PutTrial, end: Ending, contents: dict[str, bytes]) -> None:
    check_all_done(end, trial.bucket, contents)
    assert end.done["large"]["etag"] == compound(contents["large"])
    assert uploads(trial.bucket) == set()


def check_left(trial: PutTrial, end: Ending, kind: str) -> None:
    """It failed, says how to go on in one line, and the next run has to send nothing again."""
    assert (end.code, end.kinds) == (1, {"large": kind})
    (line,) = end.result.err.splitlines()
    assert line.endswith(STAY)
    assert trial.bucket.keys() == []
    kept, before = there(trial.bucket, "large"), len(sent(trial))
    trial.inject()
    check_sent(trial, put(trial), trial.contents())
    assert set(sent(trial, before)) == {1, 2, 3, 4} - kept


# Completing


@pytest.mark.thorough
def test_a_completion_that_turns_out_an_error_is_asked_again(moto_trial: PutTrial) -> None:
    contents = moto_trial.tree({"large": SIZE})
    moto_trial.inject(Rule(Say(late_error("InternalError")), *COMPLETE, times=1))
    check_sent(moto_trial, put(moto_trial), contents)
    assert sent(moto_trial) == [1, 2, 3, 4]


def test_one_that_always_does_fails_and_leaves_the_parts(moto_trial: PutTrial) -> None:
    moto_trial.tree({"large": SIZE})
    moto_trial.inject(Rule(Say(late_error("InternalError")), *COMPLETE))
    end = put(moto_trial)
    assert there(moto_trial.bucket, "large") == {1, 2, 3, 4}
    check_left(moto_trial, end, "store")


@pytest.mark.parametrize("mode", ["update", "add"])
def test_a_completion_whose_answer_was_lost_is_done(trial: PutTrial, mode: str) -> None:
    contents = trial.tree({"large": SIZE})
    gone = Rule(Status(404, "NoSuchUpload"), *COMPLETE, times=1)
    trial.inject(Rule(LoseResponse(), *COMPLETE, times=1), gone)
    check_sent(trial, put(trial, f"--mode={mode}"), contents)
    assert sent(trial) == [1, 2, 3, 4]
    assert len(trial.proxy.hits(*COMPLETE)) == 2


@pytest.mark.thorough
def test_in_mode_add_our_own_object_is_no_obstacle(moto_trial: PutTrial) -> None:
    contents = moto_trial.tree({"large": SIZE})
    taken = Rule(Status(412, "PreconditionFailed"), *COMPLETE, times=1)
    moto_trial.inject(Rule(LoseResponse(), *COMPLETE, times=1), taken)
    check_sent(moto_trial, put(moto_trial, "--mode=add"), contents)


@pytest.mark.thorough
def test_an_upload_that_is_gone_at_its_completion_is_begun_again(moto_trial: PutTrial) -> None:
    contents = moto_trial.tree({"large": SIZE})

    def abort(request: Request) -> None:
        (upload,) = uploads(moto_trial.bucket)
        at = {"Bucket": moto_trial.bucket.name, "Key": "large", "UploadId": upload}
        moto_trial.bucket.client.abort_multipart_upload(**at)

    # moto itself answers 500 then.
    gone = chain(Call(abort), Status(404, "NoSuchUpload"))
    moto_trial.inject(Rule(gone, *COMPLETE, times=1))
    end = put(moto_trial)
    check_sent(moto_trial, end, contents)
    assert sent(moto_trial) == [1, 1, 2, 2, 3, 3, 4, 4]
    assert "starting again" in end.result.err


@pytest.mark.thorough
def test_another_writer_at_the_same_key_means_all_anew(moto_trial: PutTrial) -> None:
    """API reference, "CompleteMultipartUpload": after a 409 the upload is begun again."""
    contents = moto_trial.tree({"large": SIZE})
    moto_trial.inject(Rule(Status(409, "ConditionalRequestConflict"), *COMPLETE, times=1))
    check_sent(moto_trial, put(moto_trial, "--mode=add"), contents)
    assert sent(moto_trial) == [1, 1, 2, 2, 3, 3, 4, 4]


def test_an_object_that_is_not_its_parts_fails_and_stays(moto_trial: PutTrial) -> None:
    """Both values are told, and nothing is deleted."""
    moto_trial.tree({"large": SIZE})
    wrong = f"{'0' * 32}-4"
    body = f"<CompleteMultipartUploadResult><ETag>{wrong}</ETag></CompleteMultipartUploadResult>"
    moto_trial.inject(Rule(Say(Response(200, (), body.encode())), *COMPLETE))
    end = put(moto_trial)
    assert (end.code, end.kinds) == (1, {"large": "integrity"})
    assert wrong in end.result.err
    assert compound(moto_trial.contents()["large"]) in end.result.err


# Parts


@pytest.mark.thorough
def test_parts_that_are_refused_for_a_while(moto_trial: PutTrial) -> None:
    contents = moto_trial.tree({"large": SIZE})
    moto_trial.inject(Rule(Status(503, "SlowDown"), "PUT", "partNumber=", times=2))
    check_sent(moto_trial, put(moto_trial), contents)
    assert len(sent(moto_trial)) == 6


@pytest.mark.thorough
def test_a_part_that_is_always_refused_is_named(moto_trial: PutTrial) -> None:
    moto_trial.tree({"large": SIZE})
    moto_trial.inject(Rule(Status(500, "InternalError"), "PUT", pattern([3])))
    end = put(moto_trial)
    assert "part 3: InternalError" in end.result.err
    check_left(moto_trial, end, "store")


@pytest.mark.thorough
def test_a_part_that_may_not_be_sent_ends_in_one_line(moto_trial: PutTrial) -> None:
    moto_trial.tree({"large": SIZE})
    moto_trial.inject(Rule(Status(403, "AccessDenied"), "PUT", pattern([2])))
    end = put(moto_trial)
    assert end.code in (1, 3)
    assert "part 2: AccessDenied" in end.result.err


@pytest.mark.swift
@pytest.mark.parametrize("options", [[], ["--checksum=crc32"]], ids=["md5", "crc32"])
def test_a_bit_flipped_in_a_part_is_noticed_and_mended(
    swift_trial: PutTrial, options: list[str]
) -> None:
    contents = swift_trial.tree({"large": SIZE})
    swift_trial.inject(Rule(FlipBit(), "PUT", pattern([2]), times=1))
    check_sent(swift_trial, put(swift_trial, *options), contents)
    assert sent(swift_trial) == [1, 2, 2, 3, 4]


@pytest.mark.thorough
def test_where_the_store_does_not_check_the_etag_tells(moto_trial: PutTrial) -> None:
    contents = moto_trial.tree({"large": SIZE})
    moto_trial.inject(Rule(FlipBit(), "PUT", pattern([2]), times=1))
    check_sent(moto_trial, put(moto_trial), contents)
    assert sent(moto_trial) == [1, 2, 2, 3, 4]


CHECKSUMS = [
    "crc32",
    pytest.param("sha256", marks=pytest.mark.thorough),
    pytest.param("crc64nvme", marks=pytest.mark.thorough),
]


@pytest.mark.parametrize("checksum", CHECKSUMS)
def test_nor_does_another_checksum_help_where_the_store_does_not_look_at_it(
    moto_trial: PutTrial, checksum: str
) -> None:
    contents = moto_trial.tree({"large": SIZE})
    moto_trial.inject(Rule(FlipBit(), "PUT", pattern([2]), times=1))
    end = put(moto_trial, f"--checksum={checksum}")
    check_sent(moto_trial, end, contents)
    assert sent(moto_trial) == [1, 2, 2, 3, 4]
    assert end.result.err.count("the store returns no checksums") == 1


def test_another_checksum_in_the_answer_to_a_part_is_noticed(moto_trial: PutTrial) -> None:
    contents = moto_trial.tree({"large": SIZE})
    wrong = SetHeaders((("x-amz-checksum-crc32", "AAAAAA=="), ("ETag", '"opaque"')))
    moto_trial.inject(Rule(wrong, "PUT", pattern([2]), times=1))
    check_sent(moto_trial, put(moto_trial, "--checksum=crc32"), contents)
    assert sent(moto_trial) == [1, 2, 2, 3, 4]


def test_another_checksum_of_the_whole_is_noticed(moto_trial: PutTrial) -> None:
    moto_trial.tree({"large": SIZE})
    told = b"<ChecksumCRC32>AAAAAA==</ChecksumCRC32></CompleteMultipartUploadResult>"
    wrong = Rewrite(lambda body: body.replace(b"</CompleteMultipartUploadResult>", told))
    moto_trial.inject(Rule(wrong, *COMPLETE))
    end = put(moto_trial, "--checksum=crc32")
    assert (end.code, end.kinds) == (1, {"large": "integrity"})
    assert "CRC32 AAAAAA==, sent parts that make " in end.result.err


@pytest.mark.parametrize("etag", ["", f'"{"0" * 32}"'], ids=["missing", "wrong"])
def test_a_part_without_its_etag_is_sent_again(moto_trial: PutTrial, etag: str) -> None:
    contents = moto_trial.tree({"large": SIZE})
    moto_trial.inject(Rule(SetHeaders((("ETag", etag),)), "PUT", pattern([2]), times=1))
    check_sent(moto_trial, put(moto_trial), contents)
    assert sent(moto_trial) == [1, 2, 2, 3, 4]


@pytest.mark.thorough
@pytest.mark.parametrize("etag", ["", f'"{"0" * 32}"'], ids=["missing", "wrong"])
def test_a_part_that_never_gets_its_etag_fails(moto_trial: PutTrial, etag: str) -> None:
    moto_trial.tree({"large": SIZE})
    moto_trial.inject(Rule(SetHeaders((("ETag", etag),)), "PUT", pattern([2])))
    end = put(moto_trial)
    assert sent(moto_trial).count(2) == 3
    assert "part 2: " in end.result.err
    check_left(moto_trial, end, "integrity")


def test_without_resuming_nothing_is_left(moto_trial: PutTrial) -> None:
    """Not even a part that was under way when another failed."""
    moto_trial.tree({"large": SIZE})
    moto_trial.inject(Rule(Status(400, "InvalidRequest"), "PUT", pattern([2])))
    end = put(moto_trial, "--no-resume")
    assert (end.code, end.kinds) == (1, {"large": "rejected"})
    assert STAY not in end.result.err
    assert uploads(moto_trial.bucket) == set()


@pytest.mark.thorough
def test_a_part_that_each_run_is_refused_leaves_one_upload(moto_trial: PutTrial) -> None:
    """As where a quota is answered with 400: a run every hour must not fill it up."""
    contents = moto_trial.tree({"large": SIZE})
    moto_trial.inject(Rule(Status(400, "InvalidRequest"), "PUT", pattern([4])))
    left = set[str]()
    for _ in range(3):
        end = put(moto_trial)
        assert (end.code, end.kinds) == (1, {"large": "rejected"})
        assert end.result.err.rstrip().endswith(STAY)
        left = left or uploads(moto_trial.bucket)
        assert uploads(moto_trial.bucket) == left
    assert len(left) == 1
    moto_trial.inject()
    check_sent(moto_trial, put(moto_trial), contents)


@pytest.mark.parametrize("options", [[], ["--no-resume"]], ids=["resume", "no resume"])
def test_keys_that_expire_at_the_end_leave_parts_and_that_is_said(
    moto_trial: PutTrial, options: list[str]
) -> None:
    moto_trial.tree({"large": SIZE})
    moto_trial.inject(Rule(Status(400, "ExpiredToken"), "POST|DELETE", "uploadId="))
    end = put(moto_trial, *options)
    assert (end.code, there(moto_trial.bucket, "large")) == (3, {1, 2, 3, 4})
    (line,) = [each for each in end.result.err.splitlines() if "parts stay in the store" in each]
    assert "large: not finished" in line


# The file


def shrink(path: Path) -> None:
    os.truncate(path, SIZE // 2)


def change_one_part(path: Path) -> None:
    with path.open("r+b") as stream:
        stream.write(b"changed")


def replace_by_rename(path: Path) -> None:
    new = path.parent.parent / "new"
    new.write_bytes(path.read_bytes()[::-1])
    new.rename(path)


CHANGES = [
    rewrite_and_backdate,
    *(
        pytest.param(change, marks=pytest.mark.thorough)
        for change in (shrink, grow, rewrite, replace_by_rename)
    ),
]


def changing(trial: PutTrial, change: Change, *, times: int) -> Rule:
    """A rule that changes the file when a part of it arrives: its second, or any."""
    action = Call(lambda request: change(trial.source / "large"))
    return Rule(action, "PUT", "partNumber=2&" if times else "partNumber=", times=times)


@pytest.mark.parametrize("change", CHANGES)
def test_a_file_that_changes_once_is_sent_again(moto_trial: PutTrial, change: Change) -> None:
    """What is stored is one state of it, and never a mixture of two."""
    moto_trial.tree({"large": SIZE})
    moto_trial.inject(changing(moto_trial, change, times=1))
    end = put(moto_trial)
    check_all_done(end, moto_trial.bucket, moto_trial.contents())


@pytest.mark.thorough
def test_of_a_file_that_changed_in_one_place_one_part_is_sent_again(moto_trial: PutTrial) -> None:
    moto_trial.tree({"large": SIZE})
    moto_trial.inject(changing(moto_trial, change_one_part, times=1))
    in_order = ["--processes=1", "--concurrency=1"]  # part 1 has arrived when it changes
    check_sent(moto_trial, put(moto_trial, *in_order), moto_trial.contents())
    assert sent(moto_trial).count(1) == 2
    assert sent(moto_trial).count(4) == 1


@pytest.mark.thorough
def test_a_file_that_keeps_changing_fails(moto_trial: PutTrial) -> None:
    moto_trial.tree({"large": SIZE})
    moto_trial.inject(changing(moto_trial, grow, times=0))
    end = put(moto_trial)
    assert (end.code, end.kinds) == (1, {"large": "changed"})
    assert end.result.err.rstrip().endswith(STAY)
    assert moto_trial.bucket.keys() == []


def change_the_first_part(path: Path) -> None:
    with path.open("r+b") as stream:
        stream.write(os.urandom(16))


@pytest.mark.parametrize("change", [change_the_first_part, rewrite])
def test_one_that_keeps_changing_leaves_one_upload_however_often_it_is_sent(
    moto_trial: PutTrial, change: Change
) -> None:
    """As a log that is put every hour: its parts must not fill up the store."""
    moto_trial.tree({"large": SIZE})
    for _ in range(3):
        moto_trial.inject(changing(moto_trial, change, times=0))
        end = put(moto_trial)
        assert (end.code, end.kinds) == (1, {"large": "changed"})
        assert len(uploads(moto_trial.bucket)) <= 1
        assert STAY not in end.result.err or uploads(moto_trial.bucket)
    moto_trial.inject()
    end = put(moto_trial)
    check_all_done(end, moto_trial.bucket, moto_trial.contents())
    assert len(uploads(moto_trial.bucket)) <= 1


@pytest.mark.thorough
def test_a_file_that_is_removed_meanwhile_fails(moto_trial: PutTrial) -> None:
    moto_trial.tree({"large": 8 * PART, "small": 100})
    moto_trial.inject(changing(moto_trial, os.unlink, times=1))
    running = moto_trial.start(*SMALL_PARTS, "--concurrency=2")
    result = running.wait(60)
    assert result.code == 1
    assert "vanished" in result.err
    assert moto_trial.bucket.keys() == ["small"]
    assert uploads(moto_trial.bucket) == set(), "nothing will resume it"


@pytest.mark.thorough
def test_a_file_of_exactly_so_many_parts_has_no_empty_one(trial: PutTrial) -> None:
    contents = trial.tree({"large": 2 * PART, "over": 2 * PART + 1, "under": 2 * PART - 1})
    end = put(trial)
    check_all_done(end, trial.bucket, contents)
    assert {key: compound(body) for key, body in contents.items()} == {
        key: record["etag"] for key, record in end.done.items()
    }
    assert len(sent(trial)) == 2 + 3 + 2
