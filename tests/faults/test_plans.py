"""Plans that are applied while something happens: to the run, the store, the places."""

from __future__ import annotations

import os
import signal
from dataclasses import replace
from pathlib import Path

import pytest

from commands import Argument, Start
from faults.conftest import MakeTrial
from faults.trials import GetTrial, PutTrial, Trial
from stores.fault_actions import Action, Call, Gate, LoseResponse, Status
from stores.fault_proxy import Rule
from stores.store import Store

MANY = {f"f{n:03d}": 1000 for n in range(120)}
BEFORE = pytest.mark.parametrize("there", [None, b"old"], ids=["new", "replaced"])


class ApplyTrial(PutTrial):
    """A plan of the source tree, which is applied."""

    verb = "apply"

    @property
    def plan(self) -> Path:
        return self._root / "plan"

    @property
    def places(self) -> list[Argument]:
        return [self.plan]

    def make_plan(self) -> None:
        """Plan to put the source tree."""
        words = ["put", "--plan", self.plan, self.source, self.bucket.url]
        result = self._start(*words, store=reached(self)).wait()
        assert (result.code, result.err) == (0, "")


def reached(trial: Trial) -> Store:
    """The store of a trial, behind its proxy: plans are of one store."""
    return replace(trial.bucket.store, url=trial.proxy.url)


@pytest.fixture
def apply_trial(make_trial: MakeTrial[ApplyTrial], moto: Store) -> ApplyTrial:
    return make_trial(ApplyTrial, moto)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL], ids=lambda each: each.name)
def test_an_apply_that_was_stopped_is_applied_again(
    apply_trial: ApplyTrial, number: signal.Signals
) -> None:
    contents = apply_trial.tree(MANY)
    apply_trial.make_plan()
    gate = Gate()
    apply_trial.inject(Rule(gate, "PUT", skip=30))
    running = apply_trial.start("--read-timeout=60")
    apply_trial.proxy.wait_for(31)
    running.signal(number)
    gate.open()
    code = running.wait().code
    assert code == (130 if number is signal.SIGINT else -signal.SIGKILL)
    stored = apply_trial.bucket.tree()
    assert 30 <= len(stored) < len(MANY)
    before = apply_trial.puts()
    end = apply_trial.run()
    assert end.code == 0
    assert set(end.reasons.values()) == {"already applied"}
    assert set(end.skipped) | set(end.done) == set(contents)
    assert apply_trial.puts() - before == len(end.done) <= len(MANY) - len(stored)
    assert apply_trial.bucket.tree() == contents


@BEFORE
def test_what_another_writer_stores_meanwhile_stays(
    apply_trial: ApplyTrial, there: bytes | None
) -> None:
    apply_trial.tree({"k": b"ours"})
    if there is not None:
        apply_trial.bucket.put("k", there)
    apply_trial.make_plan()
    theirs = Call(lambda _: apply_trial.bucket.put("k", b"theirs"))
    apply_trial.inject(Rule(theirs, "PUT", times=1))
    end = apply_trial.run()
    assert (end.code, end.kinds) == (1, {"k": "outdated"})
    assert apply_trial.bucket.get("k") == b"theirs"


REFUSALS = {
    "lost": LoseResponse(),
    "busy": Status(503, "SlowDown"),
    "no conditions": Status(501, "NotImplemented"),
}


@BEFORE
@pytest.mark.parametrize("action", REFUSALS.values(), ids=REFUSALS)
def test_an_answer_that_is_lost_or_refused_is_no_change(
    apply_trial: ApplyTrial, action: Action, there: bytes | None
) -> None:
    contents = apply_trial.tree({"k": b"ours"})
    if there is not None:
        apply_trial.bucket.put("k", there)
    apply_trial.make_plan()
    apply_trial.inject(Rule(action, "PUT", times=1))
    end = apply_trial.run()
    assert (end.code, set(end.done)) == (0, {"k"})
    assert apply_trial.bucket.tree() == contents


def test_a_plan_that_was_interrupted_is_not_there(moto_trial: PutTrial, tmp_path: Path) -> None:
    moto_trial.tree(MANY)
    gate, plan = Gate(), tmp_path / "plan"
    moto_trial.inject(Rule(gate, "GET", skip=1))
    running = moto_trial.start(f"--plan={plan}", "--read-timeout=60")
    moto_trial.proxy.wait_for(2, "GET")
    running.signal(signal.SIGINT)
    gate.open()
    result = running.wait()
    assert result.code == 130
    assert "no plan is written, as the run did not come to its end" in result.err
    assert [each for each in os.listdir(tmp_path) if each.startswith("plan")] == []


@BEFORE
@pytest.mark.parametrize("size", [5, 3 << 20], ids=["small", "large"])
def test_a_file_that_appears_while_its_object_is_fetched_stays(
    moto_get: GetTrial, s3pp_start: Start, tmp_path: Path, there: bytes | None, size: int
) -> None:
    moto_get.bucket.put("k", os.urandom(size))
    if there is not None:
        moto_get.stand({"k": there})
    plan, store = tmp_path / "plan", reached(moto_get)
    planned = s3pp_start("get", "--plan", plan, *moto_get.places, store=store).wait()
    assert planned.code == 0
    file = moto_get.directory / "k"

    def write(_: object) -> None:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(b"theirs")

    moto_get.inject(Rule(Call(write), "GET", "/k$", times=1))
    result = s3pp_start("apply", "--json", plan, store=store).wait()
    kinds = [each["kind"] for each in result.events if each["event"] == "failed"]
    assert (result.code, kinds, file.read_bytes()) == (1, ["outdated"], b"theirs")
    assert not moto_get.temporaries()
