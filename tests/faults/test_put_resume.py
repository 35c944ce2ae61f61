"""Large uploads that were cut off and are resumed. Rows 44, 45, 47 and 60 of the catalogue.

The store is the journal: what it has of this object is not sent again, and what it has of others
is not touched.
"""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Callable

import pytest

from commands import Result, Running, session_pids
from faults.accounting import check_all_done
from faults.large import (
    MIB,
    PART,
    SIZE,
    SMALL_PARTS,
    STAY,
    begin,
    compound,
    long_ago,
    parts_of,
    pattern,
    sent,
    there,
    uploads,
)
from faults.trials import PutTrial
from stores.fault_actions import Call, Delay, Gate, Hang, Request, SetHeaders, Status, chain
from stores.fault_proxy import Rule
from trees import content

FOUR = [1, 2, 3, 4]


def wait_until_there(trial: PutTrial, numbers: set[int], seconds: float = 30.0) -> None:
    """Until the store has these parts of ``large``."""
    deadline = time.monotonic() + seconds
    while (found := there(trial.bucket, "large")) != numbers:
        assert time.monotonic() < deadline, f"only {found} are there"
        time.sleep(0.02)


def kill_all(running: Running) -> None:
    running.signal_group(signal.SIGKILL)
    running.popen.wait()
    deadline = time.monotonic() + 40
    while left := session_pids(running.pid):
        assert time.monotonic() < deadline, f"still there: {left}"
        time.sleep(0.01)


def check_rest(trial: PutTrial, contents: dict[str, bytes], rest: list[int], *more: str) -> str:
    """A run sends ``rest`` and nothing else, and ends well; returns what it said to people."""
    before = len(sent(trial))
    end = trial.run(*SMALL_PARTS, *more)
    check_all_done(end, trial.bucket, contents)
    assert sent(trial, before) == rest
    assert end.summary["bytes"] == sum(map(len, contents.values()))
    return end.result.err


def test_after_kill_9_only_the_rest_is_sent(trial: PutTrial) -> None:
    contents = trial.tree({"large": SIZE})
    trial.inject(Rule(Hang(), "PUT", pattern([2, 4])))
    running = trial.start(*SMALL_PARTS, "--read-timeout=60")
    wait_until_there(trial, {1, 3})
    kill_all(running)
    trial.inject()
    assert "2 of 4 parts exist already" in check_rest(trial, contents, [2, 4])
    assert uploads(trial.bucket) == set()


def test_an_upload_without_a_part_may_be_anybodys_and_is_left_to_clean(
    s3pp: Callable[..., Result], moto_trial: PutTrial
) -> None:
    """Of a run that was killed right after it began it: the next one must not abort it."""
    contents = moto_trial.tree({"large": SIZE})
    moto_trial.inject(Rule(Hang(), "PUT", "partNumber="))
    running = moto_trial.start(*SMALL_PARTS, "--read-timeout=60")
    deadline = time.monotonic() + 30
    while not sent(moto_trial):
        assert time.monotonic() < deadline, "no part is on its way"
        time.sleep(0.02)
    kill_all(running)
    moto_trial.inject()
    left = uploads(moto_trial.bucket)
    assert len(left) == 1
    check_rest(moto_trial, contents, FOUR)
    assert uploads(moto_trial.bucket) == left
    cleaned = s3pp("clean", "-v", "--older-than=0s", moto_trial.bucket.url)
    assert "(0 parts, 0 bytes, " in cleaned.out
    assert uploads(moto_trial.bucket) == set()


def test_interrupted_parts_stay_and_are_gone_on_with(moto_trial: PutTrial) -> None:
    """The run ends soon, whatever is in flight; what was acknowledged is not sent again."""
    contents = moto_trial.tree({"large": SIZE, "small": 10})
    moto_trial.inject(Rule(Hang(), "PUT", pattern([4])))
    running = moto_trial.start(*SMALL_PARTS, "--read-timeout=60")
    wait_until_there(moto_trial, {1, 2, 3})
    running.signal_group(signal.SIGINT)
    end = moto_trial.end(running, 5)
    assert (end.code, set(end.done), end.failed) == (130, {"small"}, {})
    assert end.summary["not_attempted"] == 1
    assert there(moto_trial.bucket, "large") == {1, 2, 3}
    moto_trial.inject()
    end = moto_trial.run(*SMALL_PARTS)
    assert (end.code, set(end.done)) == (0, {"large"})
    assert moto_trial.bucket.tree() == contents
    assert sent(moto_trial) == [1, 2, 3, 4, 4]


def test_interrupted_before_a_part_arrived_it_leaves_nothing(moto_trial: PutTrial) -> None:
    moto_trial.tree({"large": SIZE})
    moto_trial.inject(Rule(Hang(), "PUT", pattern(FOUR)))
    running = moto_trial.start(*SMALL_PARTS, "--read-timeout=60")
    moto_trial.proxy.wait_for(2)
    assert len(uploads(moto_trial.bucket)) == 1
    running.signal_group(signal.SIGINT)
    end = moto_trial.end(running, 5)
    assert (end.code, STAY in end.result.err) == (130, False)
    assert uploads(moto_trial.bucket) == set()


@pytest.mark.thorough
def test_a_compressed_body_is_interrupted_and_gone_on_with(moto_trial: PutTrial) -> None:
    text = content(9 * MIB).hex().encode()  # some 10 MB of gzip
    moto_trial.tree({"large": text})
    moto_trial.inject(Rule(Hang(), "PUT", pattern([2, 3])))
    words = [*SMALL_PARTS, "--gzip", "--gzip-type=all"]
    running = moto_trial.start(*words, "--read-timeout=60")
    wait_until_there(moto_trial, {1})
    running.signal(signal.SIGINT)
    assert running.wait(40).code == 130
    moto_trial.inject()
    result = moto_trial.start(*words).wait()
    assert result.code == 0
    assert sent(moto_trial).count(1) == 1


# What another run, or another job, left there


def test_of_several_uploads_the_one_that_has_most_is_gone_on_with(trial: PutTrial) -> None:
    contents = trial.tree({"large": SIZE, "other": 10})
    parts = parts_of(contents["large"])
    theirs = parts_of(content(SIZE, "theirs"))
    others = {
        begin(trial.bucket, "large", theirs),  # as long, and other bytes
        begin(trial.bucket, "large", {1: parts[1]}),
        begin(trial.bucket, "large", {}),
        begin(trial.bucket, "large2", parts),
    }
    begin(trial.bucket, "large", {1: parts[1], 3: theirs[3], 4: parts[4]})
    trial.inject(long_ago())
    check_rest(trial, contents, [2, 3])
    assert uploads(trial.bucket) == others


def test_what_somebody_is_sending_is_left_alone_though_it_begins_like_ours(trial: PutTrial) -> None:
    contents = trial.tree({"large": SIZE})
    theirs = parts_of(contents["large"][:PART] + content(2 * PART, "theirs"))
    upload = begin(trial.bucket, "large", {n: theirs[n] for n in (1, 2)})
    check_rest(trial, contents, FOUR)
    at = {"Bucket": trial.bucket.name, "Key": "large", "UploadId": upload}
    client = trial.bucket.client
    client.upload_part(**at, PartNumber=3, Body=theirs[3])
    tags = client.list_parts(**at)["Parts"]
    parts = [{name: part[name] for name in ("PartNumber", "ETag")} for part in tags]
    client.complete_multipart_upload(**at, MultipartUpload={"Parts": parts})
    assert trial.bucket.get("large") == b"".join(theirs.values())


@pytest.mark.thorough
def test_another_part_size_is_gone_on_with(trial: PutTrial) -> None:
    contents = trial.tree({"large": SIZE})
    begin(trial.bucket, "large", {2: parts_of(contents["large"], 6 * MIB)[2]})
    check_rest(trial, contents, [1, 3])
    etag = trial.bucket.head("large")["ETag"].strip('"')
    assert etag == compound(contents["large"], 6 * MIB)


@pytest.mark.thorough
def test_of_a_file_that_changed_since_the_new_parts_are_sent(moto_trial: PutTrial) -> None:
    contents = moto_trial.tree({"large": SIZE})
    old = parts_of(content(PART, "old") + contents["large"][PART:])
    begin(moto_trial.bucket, "large", old)
    moto_trial.inject(long_ago())
    check_rest(moto_trial, contents, [1])


@pytest.mark.thorough
def test_a_file_that_grew_since_keeps_its_first_parts(moto_trial: PutTrial) -> None:
    contents = moto_trial.tree({"large": SIZE})
    begin(moto_trial.bucket, "large", parts_of(contents["large"][: 2 * PART + 5]))
    moto_trial.inject(long_ago())
    check_rest(moto_trial, contents, [3, 4])


@pytest.mark.thorough
def test_a_file_that_shrank_leaves_out_what_lies_behind_it(moto_trial: PutTrial) -> None:
    contents = moto_trial.tree({"large": 2 * PART + 5})
    begin(moto_trial.bucket, "large", parts_of(contents["large"][: 2 * PART] + content(2 * PART)))
    moto_trial.inject(long_ago())
    check_rest(moto_trial, contents, [3])


def test_an_upload_that_vanishes_meanwhile_is_begun_again(moto_trial: PutTrial) -> None:
    contents = moto_trial.tree({"large": SIZE})
    upload = begin(moto_trial.bucket, "large", {1: parts_of(contents["large"])[1]})
    at = {"Bucket": moto_trial.bucket.name, "Key": "large", "UploadId": upload}

    def abort(request: Request) -> None:
        moto_trial.bucket.client.abort_multipart_upload(**at)

    gone = chain(Call(abort), Status(404, "NoSuchUpload"))  # moto itself answers 500 then
    moto_trial.inject(Rule(gone, "PUT", pattern([3]), times=1))
    end = moto_trial.run(*SMALL_PARTS)
    check_all_done(end, moto_trial.bucket, contents)
    assert set(sent(moto_trial)) == set(FOUR)
    assert "starting again" in end.result.err
    assert uploads(moto_trial.bucket) == set()


@pytest.mark.parametrize(
    ("options", "begun"),
    [
        (["--metadata=colour=blue"], {"Metadata": {"colour": "red"}}),
        (["--header=Cache-Control: no-store"], {}),
        (["--storage-class=STANDARD_IA"], {"StorageClass": "GLACIER"}),
        (["--tag=a=b"], {"Tagging": "a=c"}),
        ([], {"Tagging": "a=c"}),
    ],
    ids=["metadata", "header", "class", "tag", "no tag"],
)
def test_one_that_was_begun_with_other_headers_is_sent_anew(
    moto_trial: PutTrial, options: list[str], begun: dict[str, object]
) -> None:
    contents = moto_trial.tree({"large": SIZE})
    kind = {"ContentType": "application/octet-stream"}
    begin(moto_trial.bucket, "large", {1: parts_of(contents["large"])[1]}, **kind | begun)
    words = check_rest(moto_trial, contents, sorted([2, 3, 4, *FOUR]), *options)
    assert "created with other headers" in words
    head = moto_trial.bucket.head("large")
    assert head["Metadata"] == ({"colour": "blue"} if "metadata" in str(options) else {})


@pytest.mark.parametrize("what", ["class", "metadata"])
def test_what_a_store_may_not_tell_or_may_add_is_no_reason(moto_trial: PutTrial, what: str) -> None:
    """Else each of its objects that was broken off would be sent twice."""
    contents = moto_trial.tree({"large": SIZE})
    options, begun, answer = {
        "class": (["--storage-class=STANDARD_IA"], {"StorageClass": "STANDARD_IA"}, ""),
        "metadata": ([], {}, "1700000000"),
    }[what]
    begun |= {"ContentType": "application/octet-stream"}
    begin(moto_trial.bucket, "large", {1: parts_of(contents["large"])[1]}, **begun)
    name = "x-amz-meta-mtime" if answer else "x-amz-storage-class"
    moto_trial.inject(Rule(SetHeaders(((name, answer),)), "HEAD"))
    assert "does not report the storage class" in check_rest(
        moto_trial, contents, [2, 3, 4], *options
    )


@pytest.mark.thorough
def test_one_that_was_begun_with_the_same_headers_is_not(moto_trial: PutTrial) -> None:
    contents = moto_trial.tree({"large": SIZE})
    begun = {
        "Metadata": {"colour": "blue"},
        "Tagging": "a=b",
        "StorageClass": "STANDARD_IA",
        "ContentType": "application/octet-stream",
    }
    begin(moto_trial.bucket, "large", {1: parts_of(contents["large"])[1]}, **begun)
    options = ["--metadata=colour=blue", "--tag=a=b", "--storage-class=STANDARD_IA"]
    check_rest(moto_trial, contents, [2, 3, 4], *options)


@pytest.mark.thorough
def test_one_that_takes_no_parts_of_ours_is_not_insisted_on(moto_trial: PutTrial) -> None:
    """As S3 answers where the upload was begun with another kind of checksum."""
    contents = moto_trial.tree({"large": SIZE})
    upload = begin(moto_trial.bucket, "large", {1: parts_of(contents["large"])[1]})
    refusal = Rule(Status(400, "InvalidRequest"), "PUT", f"uploadId={upload}")
    moto_trial.inject(refusal)
    end = moto_trial.run(*SMALL_PARTS, "--checksum=sha256")
    check_all_done(end, moto_trial.bucket, contents)
    assert "refuses these parts" in end.result.err
    assert uploads(moto_trial.bucket) == {upload}


@pytest.mark.thorough
@pytest.mark.parametrize("status", [403, 501])
def test_a_store_that_does_not_show_them_is_sent_everything(
    moto_trial: PutTrial, status: int
) -> None:
    contents = moto_trial.tree({"large": SIZE})
    moto_trial.inject(Rule(Status(status, "No"), "GET", "[?&]uploads"))
    assert "nothing is resumed" in check_rest(moto_trial, contents, FOUR)


# Processes that die


def test_a_dead_putters_parts_go_to_the_others(moto_trial: PutTrial) -> None:
    contents = moto_trial.tree({"large": 8 * PART})
    gate = Gate()
    moto_trial.inject(Rule(gate, "PUT", "partNumber="))
    running = moto_trial.start(*SMALL_PARTS, "--concurrency=4", "--read-timeout=60")
    moto_trial.proxy.wait_for(4)
    os.kill(running.wait_for_child("s3pp: putter 2"), signal.SIGKILL)
    gate.open()
    end = moto_trial.end(running)
    check_all_done(end, moto_trial.bucket, contents)
    assert set(sent(moto_trial)) == set(range(1, 9))
    assert len(sent(moto_trial)) <= 10
    assert "SIGKILL" in end.result.err
    assert uploads(moto_trial.bucket) == set()


def test_where_the_lead_dies_another_leads_and_goes_on(moto_trial: PutTrial) -> None:
    """Which of the two leads nobody knows: both are killed, one after the other."""
    contents = moto_trial.tree({"large": SIZE})
    moto_trial.inject(Rule(Hang(), "PUT", pattern([4])))
    running = moto_trial.start(*SMALL_PARTS, "--read-timeout=60")
    wait_until_there(moto_trial, {1, 2, 3})
    for number in (1, 2):
        os.kill(running.wait_for_child(f"s3pp: putter {number}"), signal.SIGKILL)
    moto_trial.inject()
    end = moto_trial.end(running)
    check_all_done(end, moto_trial.bucket, contents)
    arrived = [number for number in sent(moto_trial) if number != 4]
    assert set(arrived) == {1, 2, 3}
    assert len(arrived) <= 4  # one may have been killed before it heard the answer
    assert uploads(moto_trial.bucket) == set()


def test_where_the_lead_dies_before_a_part_arrived_no_upload_is_left(moto_trial: PutTrial) -> None:
    contents = moto_trial.tree({"large": SIZE})
    gate = Gate()
    moto_trial.inject(Rule(gate, "PUT", pattern(FOUR)))
    running = moto_trial.start(*SMALL_PARTS, "--read-timeout=60")
    moto_trial.proxy.wait_for(4)
    for number in (1, 2):
        os.kill(running.wait_for_child(f"s3pp: putter {number}"), signal.SIGKILL)
    gate.open()
    end = moto_trial.end(running)
    check_all_done(end, moto_trial.bucket, contents)
    assert uploads(moto_trial.bucket) == set()


@pytest.mark.thorough
@pytest.mark.timeout(300)
def test_killed_ten_times_no_acknowledged_part_is_sent_again(trial: PutTrial) -> None:
    seed = random.randrange(1_000_000)
    print(f"{seed=}")
    dice = random.Random(seed)
    contents = trial.tree({"large": 12 * PART + 12345})
    for _ in range(10):
        kept, before = there(trial.bucket, "large"), len(sent(trial))
        trial.inject(Rule(Delay(0.3), "PUT", "partNumber="))
        running = trial.start(*SMALL_PARTS, "--concurrency=4")
        time.sleep(dice.uniform(0.5, 2.5))
        kill_all(running)
        assert not kept & set(sent(trial, before)), "a part that was there is sent again"
        if trial.bucket.keys():
            break
    trial.inject()
    kept = there(trial.bucket, "large")
    rest = [] if trial.bucket.keys() else sorted(set(range(1, 14)) - kept)
    before = len(sent(trial))
    end = trial.run(*SMALL_PARTS)
    assert end.code == 0
    assert trial.bucket.tree() == contents
    assert set(sent(trial, before)) <= set(rest)  # one that was on its way has arrived since
    assert there(trial.bucket, "large") == set()  # killed before the first part, an upload stays
