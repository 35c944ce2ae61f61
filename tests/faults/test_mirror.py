"""Mirrors that break, and those that others disturb: nothing is deleted that the source has.

Rows 27-29 and 45 of the catalogue. In each trial the destination holds ``OLD``, which the source
does not have: that is what may be deleted, and must still be there where a guard has held.
"""

from __future__ import annotations

import os
import resource
import shutil
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import pytest

from commands import Running, as_anybody
from faults.killers import kill
from faults.listing_pages import (
    LATER_PAGE,
    PAGES,
    Circle,
    Harm,
    SmallPages,
    Stuck,
    doubled_keys,
    not_xml,
    pages_of,
    reversed_keys,
    without_token,
)
from faults.trials import CopyTrial, GetTrial, PutTrial, Transfer
from stores.fault_actions import Action, Call, Delay, Exchange, Gate, Response, Status, halved
from stores.fault_proxy import Rule

SIZE = 10  # keys a page
NAMES = [f"f{n:02d}" for n in range(3 * SIZE)]
OLD = [f"old{n}" for n in range(5)]
KEPT = "nothing is deleted from "
DELETES = (r"^POST$", r"\?delete")


def fill_put(trial: PutTrial) -> dict[str, bytes]:
    """A tree of which all but one file is in the bucket, with what is extraneous there."""
    contents = trial.tree(dict.fromkeys([*NAMES, "new"], 20))
    trial.bucket.fill({key: body for key, body in contents.items() if key != "new"})
    trial.fill(dict.fromkeys(OLD, 10))
    return contents


def holds(trial: Transfer) -> set[str]:
    """Which of what is extraneous is still there."""
    return set(trial.arrived()).intersection(OLD)


# A failure of anything


@pytest.mark.parametrize("order", ["key", "size"])
def test_one_object_that_fails_keeps_everything(moto_trial: PutTrial, order: str) -> None:
    fill_put(moto_trial)
    moto_trial.inject(Rule(Status(403, "AccessDenied"), "PUT", "/new$"))
    end = moto_trial.run("--delete", f"--order={order}")
    assert (end.code, end.kinds, end.deleted) == (1, {"new": "access"}, {})
    assert f"{KEPT}{moto_trial.bucket.url}/: 1 object failed" in end.result.err
    assert holds(moto_trial) == set(OLD)
    moto_trial.proxy.inject()
    end = moto_trial.run("--delete")
    assert (end.code, sorted(end.deleted), sorted(holds(moto_trial))) == (0, OLD, [])


def test_a_directory_that_cannot_be_read_keeps_everything(moto_trial: PutTrial) -> None:
    """What is in it is still in the bucket, and must stay there."""
    contents = moto_trial.tree({"a": 10, "closed/b": 10})
    moto_trial.bucket.fill({**contents, "old0": b"1"})
    closed = moto_trial.source / "closed"
    closed.chmod(0)
    try:
        end = moto_trial.run("--delete", preexec_fn=as_anybody)
    finally:
        closed.chmod(0o755)
    assert (end.code, moto_trial.bucket.keys()) == (1, ["a", "closed/b", "old0"])
    assert KEPT in end.result.err


def test_a_directory_here_that_cannot_be_read_keeps_everything(moto_get: GetTrial) -> None:
    moto_get.fill({"a": 10})
    moto_get.stand({"old0": 10, "closed/b": 10})
    closed = moto_get.directory / "closed"
    closed.chmod(0)
    try:
        result = moto_get.start_plain("--delete", preexec_fn=as_anybody).wait()
    finally:
        closed.chmod(0o755)
    assert (result.code, set(moto_get.files())) == (3, {"a", "old0", "closed/b"})
    assert f"{KEPT}{moto_get.directory}: 'closed' cannot be " in result.err


# Listings


HARMS: dict[str, Callable[[], Action]] = {
    "cut": lambda: SmallPages(SIZE, halved),
    "no listing": lambda: SmallPages(SIZE, not_xml),
    "without a token": lambda: SmallPages(SIZE, without_token),
    "out of order": lambda: SmallPages(SIZE, reversed_keys, LATER_PAGE),
    "repeated keys": lambda: SmallPages(SIZE, doubled_keys, LATER_PAGE),
    "in a circle": lambda: Circle(SIZE, 1),
    "repeated pages": lambda: Stuck(SIZE),
}


@pytest.mark.parametrize("harm", HARMS)
@pytest.mark.parametrize("mode", ["update", "stupid"])
def test_a_listing_of_the_destination_that_breaks_keeps_everything(
    moto_trial: PutTrial, harm: str, mode: str
) -> None:
    """Cut, no listing, without end, out of order, repeated: transfers go on, by HEADs."""
    contents = fill_put(moto_trial)
    moto_trial.inject(Rule(HARMS[harm](), "GET", PAGES))
    end = moto_trial.run("--delete", f"--mode={mode}", "--read-timeout=5")
    assert (end.code, end.deleted, holds(moto_trial)) == (3, {}, set(OLD))
    assert KEPT in end.result.err
    if "did not come to its end" not in end.result.err:
        assert moto_trial.bucket.tree().items() >= contents.items()


@pytest.mark.parametrize(("status", "code"), [(403, "AccessDenied"), (500, "InternalError")])
def test_a_destination_that_is_refused_at_its_second_page(
    moto_trial: PutTrial, status: int, code: str
) -> None:
    fill_put(moto_trial)
    moto_trial.inject(
        Rule(Status(status, code), "GET", f"{PAGES}.*({LATER_PAGE})"),
        Rule(Status(status, code), "GET", f"(?=.*({LATER_PAGE})){PAGES.removeprefix('^')}"),
        Rule(SmallPages(SIZE), "GET", PAGES),
    )
    end = moto_trial.run("--delete", "--max-attempts=2")
    assert (end.code, end.deleted, holds(moto_trial)) == (3, {}, set(OLD))
    assert KEPT in end.result.err
    assert code in end.result.err


@pytest.mark.parametrize("harm", [halved, not_xml, without_token, reversed_keys])
def test_a_listing_of_the_source_that_breaks_keeps_everything(
    moto_copy: CopyTrial, harm: Harm
) -> None:
    contents = moto_copy.fill(dict.fromkeys(NAMES, 20))
    moto_copy.fill({**dict.fromkeys(OLD, 10), **contents}, moto_copy.dest)
    moto_copy.inject(Rule(SmallPages(SIZE, harm), "GET", pages_of(moto_copy.bucket)))
    end = moto_copy.run("--delete", "--listers=1")
    if harm is reversed_keys:  # it is sorted on disk, with a notice
        assert (end.code, holds(moto_copy)) == (0, set())
        assert set(moto_copy.dest.keys()) == set(NAMES)
        return
    assert (end.code, end.deleted, holds(moto_copy)) == (3, {}, set(OLD))
    assert f"{KEPT}{moto_copy.dest.url}/: the run did not come to its end" in end.result.err


def test_a_source_that_is_refused_at_its_second_page_keeps_every_file(moto_get: GetTrial) -> None:
    contents = moto_get.fill(dict.fromkeys(NAMES, 20))
    moto_get.stand({**dict.fromkeys(OLD, 10), **contents})
    refused = f"(?=.*({LATER_PAGE})){PAGES.removeprefix('^')}"
    moto_get.inject(
        Rule(Status(403, "AccessDenied"), "GET", refused), Rule(SmallPages(SIZE), "GET", PAGES)
    )
    end = moto_get.run("--delete", "--listers=1")
    assert (end.code, end.deleted, holds(moto_get)) == (3, {}, set(OLD))
    assert KEPT in end.result.err


# The source


def test_a_source_that_vanishes_after_the_walk_keeps_everything(moto_trial: PutTrial) -> None:
    """A volume that is unmounted, and leaves an empty directory in its place."""
    fill_put(moto_trial)
    away = moto_trial.source.with_name("away")

    def unmount(_: object) -> None:
        moto_trial.source.rename(away)
        moto_trial.source.mkdir()

    moto_trial.inject(Rule(Call(unmount), "PUT", "/new$"))
    running = moto_trial.start_plain("--delete", "--compare=size")
    result = running.wait()
    assert (result.code, holds(moto_trial)) == (3, set(OLD))
    assert "has vanished, or is another directory by now" in result.err


def test_a_file_that_has_come_back_is_not_deleted(moto_trial: PutTrial) -> None:
    contents = fill_put(moto_trial)
    back = moto_trial.source / OLD[1]
    moto_trial.inject(Rule(Call(lambda _: back.write_bytes(b"back")), "PUT", "/new$"))
    end = moto_trial.run("--delete")
    assert (end.code, set(end.deleted)) == (0, {*OLD} - {OLD[1]})
    assert end.reasons[OLD[1]] == "in the source by now"
    assert set(moto_trial.bucket.keys()) == {*contents, OLD[1]}


def test_a_file_that_comes_back_right_before_the_request_is_not_deleted(
    moto_trial: PutTrial,
) -> None:
    """When its deletion has long been assigned to a worker, which looks at the objects first."""
    contents = fill_put(moto_trial)
    back = moto_trial.source / OLD[1]

    def put_back(_: object) -> None:
        if moto_trial.proxy.hits("PUT", "/new$"):  # else it is the walk's listing
            back.write_bytes(b"back")

    moto_trial.inject(Rule(Call(put_back), "GET", PAGES))
    end = moto_trial.run("--delete")
    assert (end.code, set(end.deleted)) == (0, {*OLD} - {OLD[1]})
    assert end.reasons[OLD[1]] == "in the source by now"
    assert set(moto_trial.bucket.keys()) == {*contents, OLD[1]}


def test_a_source_that_cannot_be_examined_any_more_keeps_what_may_be_there(
    moto_trial: PutTrial,
) -> None:
    moto_trial.tree({"closed/a": 10, "new": 10})
    moto_trial.fill({"closed/old": 10, "old0": 10})
    closed = moto_trial.source / "closed"
    moto_trial.inject(Rule(Call(lambda _: closed.chmod(0)), "PUT", "/new$"))
    try:
        result = moto_trial.start_plain("--delete", preexec_fn=as_anybody).wait()
    finally:
        closed.chmod(0o755)
    assert (result.code, moto_trial.bucket.keys()) == (1, ["closed/a", "closed/old", "new"]), result
    assert "closed/old: it is kept, as SOURCE cannot be examined for it: Perm" in result.err


# Others at work


def test_two_mirrors_of_one_source_at_once(moto_trial: PutTrial) -> None:
    contents = fill_put(moto_trial)
    gate = Gate()
    moto_trial.inject(Rule(gate, *DELETES))
    runs = [moto_trial.start_plain("--delete") for _ in range(2)]
    moto_trial.proxy.wait_for(2, "POST")
    gate.open()
    results = [running.wait() for running in runs]
    assert [result.code for result in results] == [0, 0], results
    assert moto_trial.bucket.tree() == contents


def test_an_object_that_is_replaced_meanwhile_is_kept(moto_trial: PutTrial) -> None:
    fill_put(moto_trial)
    moto_trial.inject(
        Rule(Call(lambda _: moto_trial.bucket.put(OLD[2], b"another's")), "PUT", "/new$")
    )
    end = moto_trial.run("--delete")
    assert (end.code, end.kinds, holds(moto_trial)) == (1, {OLD[2]: "changed"}, {OLD[2]})
    assert f"delete {moto_trial.bucket.url}/{OLD[2]}: " in end.result.err
    assert moto_trial.bucket.get(OLD[2]) == b"another's"


def test_a_file_that_changes_meanwhile_is_kept(moto_get: GetTrial) -> None:
    moto_get.fill({"z-new": 10, "z-more": 10})
    moto_get.stand(dict.fromkeys(OLD, 10))
    changed = moto_get.directory / OLD[3]
    gone = moto_get.directory / OLD[4]
    moto_get.inject(
        Rule(Call(lambda _: changed.write_bytes(b"mine")), "GET", "/z-new$"),
        Rule(Call(lambda _: gone.unlink()), "GET", "/z-more$"),
    )
    result = moto_get.start_plain("--delete").wait()
    assert (result.code, holds(moto_get)) == (1, {OLD[3]}), result
    assert f"delete {changed}: it has changed since" in result.err
    assert changed.read_bytes() == b"mine"


def test_a_directory_swapped_for_a_link_leads_nowhere(moto_get: GetTrial) -> None:
    """After the walk of DIRECTORY, which has passed what sorts before the key."""
    moto_get.fill({"z-new": 10})
    moto_get.stand({"sub/old0": b"1", "sub/old1": b"1", "old2": b"1"})
    outside = moto_get.surroundings / "outside"
    sub = moto_get.directory / "sub"

    def swap(_: object) -> None:
        shutil.copytree(sub, outside)
        for name in ("old0", "old1"):  # the same files, times included
            os.utime(outside / name, ns=(0, (sub / name).stat().st_mtime_ns))
        sub.rename(moto_get.surroundings / "moved")
        sub.symlink_to(outside)
        time.sleep(1.1)  # for so long an open directory may be trusted

    moto_get.inject(Rule(Call(swap), "GET", "/z-new$"))
    result = moto_get.start_plain("--delete").wait()
    assert result.code == 1, result
    assert sorted(os.listdir(outside)) == ["old0", "old1"]
    assert "symbolic link" in result.err
    assert set(moto_get.files()) == {"z-new"}


@dataclass(frozen=True)
class RefuseKey(Action):
    """A store that refuses to delete one key of many, such as one under Object Lock."""

    key: str
    code: str = "AccessDenied"

    def answer(self, exchange: Exchange) -> Response:
        name, other = self.key.encode(), self.key[:-1].encode() + b"_"
        body = exchange.request.body.replace(b">" + name + b"<", b">" + other + b"<")
        response = exchange.forward(replace(exchange.request, body=body))
        error = f"<Error><Key>{self.key}</Key><Code>{self.code}</Code><Message>no</Message></Error>"
        end = b"</DeleteResult>"
        return replace(response, body=response.body.replace(end, error.encode() + end))


def test_deletions_that_are_refused_are_named(moto_trial: PutTrial) -> None:
    fill_put(moto_trial)
    moto_trial.inject(Rule(RefuseKey(OLD[0]), *DELETES))
    end = moto_trial.run("--delete")
    assert (end.code, end.kinds, holds(moto_trial)) == (1, {OLD[0]: "access"}, {OLD[0]})
    assert end.deleted.keys() == {*OLD[1:]}
    assert f"delete {moto_trial.bucket.url}/{OLD[0]}: AccessDenied" in end.result.err


# Kills and signals


def held(trial: PutTrial, method: str, path: str) -> tuple[Running, Gate]:
    """A run that is held at the first request that matches."""
    gate = Gate()
    trial.inject(Rule(gate, method, path))
    running = trial.start("--delete", "--read-timeout=60")
    deadline = time.monotonic() + 30
    while not trial.proxy.hits(method, path):
        assert time.monotonic() < deadline
        assert running.popen.poll() is None, running.err()
        time.sleep(0.01)
    return running, gate


PHASES = {"transfers": ("PUT", "/new$"), "deletions": DELETES}
EACH_PHASE = pytest.mark.parametrize("phase", PHASES)


@EACH_PHASE
@pytest.mark.parametrize("victim", ["walker", "putter 1", "statter", "supervisor"])
def test_whatever_is_killed_the_next_run_converges(
    moto_trial: PutTrial, victim: str, phase: str
) -> None:
    contents = fill_put(moto_trial)
    running, gate = held(moto_trial, *PHASES[phase])
    pids = {"s3pp: supervisor": running.pid, **running.children()}
    if (pid := pids.get(f"s3pp: {victim}")) is not None:  # the walker has sent all, and ended
        kill(pid)
    gate.open()
    result = running.wait(60)
    there = moto_trial.bucket.tree()
    assert all(there[name] == contents[name] for name in NAMES), "what the source has is there"
    if victim == "putter 1":
        assert result.code == 0, result
    elif phase == "transfers":
        assert (result.code in (3, -9), holds(moto_trial)) == (True, set(OLD)), result
    if victim == "walker" and phase == "transfers":
        assert KEPT in result.err or "is not deleted" in result.err
    end = moto_trial.run("--delete")
    assert (end.code, moto_trial.bucket.tree()) == (0, contents)


@EACH_PHASE
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_in_either_phase(moto_trial: PutTrial, phase: str, number: signal.Signals) -> None:
    contents = fill_put(moto_trial)
    running, gate = held(moto_trial, *PHASES[phase])
    running.signal(number)
    deadline = time.monotonic() + 30
    while "finishing" not in running.err():
        assert time.monotonic() < deadline
        time.sleep(0.01)
    gate.open()
    end = moto_trial.end(running)
    assert end.code == 128 + number
    if phase == "transfers":
        assert (end.deleted, holds(moto_trial)) == ({}, set(OLD))
        assert f"{KEPT}{moto_trial.bucket.url}/: the run did not come to its end" in end.result.err
    else:
        assert (sorted(end.deleted), sorted(holds(moto_trial))) == (OLD, []), "it was in flight"
    assert moto_trial.run("--delete").code == 0
    assert moto_trial.bucket.tree() == contents


@pytest.mark.parametrize("victim", ["getter 1", "supervisor"])
def test_a_get_that_is_killed_while_it_deletes(moto_get: GetTrial, victim: str) -> None:
    contents = moto_get.fill({"a": 10, "d/b": 10})
    moto_get.killed = True
    count = 3000
    moto_get.stand({f"d{n % 7}/old{n}": b"" for n in range(count)} | {"a": contents["a"]})
    running = moto_get.start_plain("--delete")
    pid = running.pid if victim == "supervisor" else running.wait_for_child(f"s3pp: {victim}")
    deadline = time.monotonic() + 30
    while sum(len(files) for _, _, files in os.walk(moto_get.directory)) >= count:
        assert time.monotonic() < deadline
        assert running.popen.poll() is None, running.err()
    kill(pid)
    result = running.wait()
    assert result.code == (-9 if victim == "supervisor" else 0), result
    assert moto_get.start_plain("--delete").wait().code == 0
    assert moto_get.files() == contents
    if victim != "supervisor":  # else one that was emptied may be left, which nothing remembers
        assert sorted(os.listdir(moto_get.directory)) == ["a", "d"]


# The disk


def test_a_full_disk_for_what_is_to_be_deleted(moto_trial: PutTrial) -> None:
    """Transfers are complete all the same."""
    contents = moto_trial.tree({"a": 10, "z": 10})
    moto_trial.fill({f"k{n:04d}": b"" for n in range(1100)})

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (16_000, 16_000))

    result = moto_trial.start_plain("--delete", preexec_fn=limit).wait()
    assert (result.code, len(moto_trial.bucket.keys())) == (3, 1102), result
    assert "noting what to delete in " in result.err
    assert "make room there, or point TMPDIR elsewhere" in result.err
    assert moto_trial.bucket.tree().items() >= contents.items()


def test_deletions_go_by_the_thousand(moto_trial: PutTrial) -> None:
    """As many are in one request, and in memory at a time."""
    moto_trial.tree({"a": 10})
    moto_trial.fill({f"k{n:04d}": b"" for n in range(2500)})
    moto_trial.inject(Rule(Delay(0.01), *DELETES))
    end = moto_trial.run("--delete")
    assert (end.code, len(end.deleted), moto_trial.bucket.keys()) == (0, 2500, ["a"])
    assert len(moto_trial.proxy.hits(*DELETES)) == 3
