"""Shards of which one is lost: merge names it, and a retry completes the job."""

from __future__ import annotations

import signal

from commands import Run
from faults.test_killed import check_all_gone
from faults.trials import PutTrial
from s3pp.shard import shard_of
from stores.fault_actions import Gate, Status
from stores.fault_proxy import Rule

MANY = {f"f{n:03d}": 100 for n in range(40)}
OWN = {k: {name for name in MANY if shard_of(name.encode(), 2) == k} for k in (1, 2)}


def test_a_killed_shard_is_named_and_a_retry_completes_it(s3pp: Run, moto_trial: PutTrial) -> None:
    contents = moto_trial.tree(MANY)
    gate = Gate()
    some = sorted(OWN[2])[:5]
    moto_trial.inject(*(Rule(gate, "PUT", f"/{key}$") for key in OWN[2] - set(some)))
    running = moto_trial.start("--shard=2/2")
    killed = moto_trial.journal
    moto_trial.proxy.wait_for(len(some) + 1)
    running.signal(signal.SIGKILL)
    running.popen.wait()
    check_all_gone(running)
    gate.open()
    moto_trial.inject()
    first = moto_trial.run("--shard=1/2")
    assert first.done.keys() == OWN[1]
    lost = s3pp("merge", moto_trial.journal, killed)
    assert (lost.code, "shard 2/2: run " in lost.err, "was killed" in lost.err) == (1, True, True)
    assert s3pp("retry", killed, store=moto_trial.bucket.store).code == 0
    merged = s3pp("merge", moto_trial.journal, killed)
    assert (merged.code, merged.err) == (0, ""), merged
    assert moto_trial.bucket.tree() == contents


def test_a_shard_that_fails_deletes_nothing_and_the_others_do(
    s3pp: Run, moto_trial: PutTrial
) -> None:
    contents = moto_trial.tree(MANY)
    old = {f"old{n}": b"" for n in range(20)}
    moto_trial.bucket.fill(old)
    failing = min(OWN[1])
    moto_trial.inject(Rule(Status(403, "AccessDenied"), "PUT", f"/{failing}$"))
    options = ("--delete", "--max-delete=100%")
    first, journal = moto_trial.run("--shard=1/2", *options), moto_trial.journal
    assert (first.code, set(first.failed), first.deleted) == (1, {failing}, {})
    second = moto_trial.run("--shard=2/2", *options)
    gone = {name for name in old if shard_of(name.encode(), 2) == 2}
    assert (second.code, set(second.deleted)) == (0, gone)
    merged = s3pp("merge", journal, moto_trial.journal)
    assert (merged.code, "1 object failed" in merged.err) == (1, True), merged
    assert set(moto_trial.bucket.keys()) == (contents.keys() | old.keys()) - {failing} - gone
