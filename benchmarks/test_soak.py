"""A soak must see what is wrong, and find nothing in a sound run."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))

import soak
from soaking.checks import Facts, Said, violations
from soaking.contents import Versions
from soaking.disturbances import Disturbance
from soaking.faults import SHARE, RandomFaults, possible
from stores.fault_actions import Request

OLD = {"same": b"1", "other": b"x", "own": b"mine"}
SOURCE = {"same": b"1", "other": b"22", "new": b"333"}
AFTER = {**SOURCE, "own": b"mine"}
DONE = {"other": {"size": 2}, "new": {"size": 3}}
SKIPPED: dict[str, Any] = {"same": {"reason": "same etag"}}
FAILED: dict[str, Any] = {"other": {"kind": "network"}}
GONE = {"reason": "gone already", "deleting": True}
DELETED: dict[str, Any] = {"own": {}}


def facts(code: int = 0, **changed: Any) -> Facts:
    """A put that was sound, but for what is ``changed``."""
    said: dict[str, Any] = {"done": DONE, "skipped": SKIPPED, "failed": {}, "deleted": {}}
    said = {name: changed.pop(name, usual) for name, usual in said.items()}
    usual: dict[str, Any] = {
        "disturbance": Disturbance.NONE,
        "mirror": False,
        "versions": Versions({name: [body] for name, body in SOURCE.items()}),
        "before": OLD,
        "after": AFTER,
    }
    return Facts(code=code, said=Said(**said), **{**usual, **changed})


ONE_DONE = {"new": {"size": 3}}
SOUND = {
    "all done": facts(),
    "one failed": facts(1, done=ONE_DONE, failed=FAILED, after={**AFTER, "other": b"x"}),
    "one failed and arrived": facts(1, done=ONE_DONE, failed=FAILED),
    "a mirror": facts(mirror=True, deleted=DELETED, after=SOURCE),
    "a mirror, deleted by one that was killed": facts(
        mirror=True, skipped={**SKIPPED, "own": GONE}, after=SOURCE
    ),
    "found there by the worker in the place of one that was killed": facts(
        done={"other": {"size": 2}},
        skipped={**SKIPPED, "new": {"reason": "same etag"}},
        disturbance=Disturbance.KILL_WORKERS,
    ),
    "interrupted": facts(130, done={}, disturbance=Disturbance.SIGNAL, after=OLD),
    "killed, and unsaid": facts(-9, done={}, disturbance=Disturbance.KILL_ALL),
}
UNSOUND = {
    "exit code 7": facts(7),
    "exit code 130": facts(130),
    "exit code 0 with 1 failures": facts(0, done=ONE_DONE, failed=FAILED),
    "exit code 1 with 0 failures": facts(1),
    "is done, and what is there is no content": facts(after={**AFTER, "new": b"3"}),
    "'other' is done, and": facts(after={"same": b"1", "new": b"333", "own": b"mine"}),
    "is done with 4 bytes": facts(done={**DONE, "new": {"size": 4}}),
    "which is not that of what is there": facts(
        done={**DONE, "new": {"size": 3, "checksum": "md5:00"}}
    ),
    "was skipped, and has changed": facts(after={**AFTER, "same": b"2"}),
    "was skipped (same etag), and differs": facts(
        before={**OLD, "same": b"2"}, after={**AFTER, "same": b"2"}
    ),
    "neither its old content": facts(
        1, done=ONE_DONE, failed=FAILED, after={**AFTER, "other": b"2"}
    ),
    "was transferred, and nothing says so": facts(done=ONE_DONE),
    "of the source in no outcome": facts(done=ONE_DONE, after={**AFTER, "other": b"x"}),
    "has two outcomes": facts(done={**DONE, "same": {"size": 1}}),
    "the mirror has 4 names of 3": facts(mirror=True),
    "has appeared": facts(after={**AFTER, "x": b""}),
    "is not in the source, and was changed": facts(after={**AFTER, "own": b"ours"}),
    "was deleted, and nothing says so": facts(after=SOURCE),
    "is deleted, and still there": facts(deleted=DELETED),
    "there were failures, and it has deleted": facts(
        1, mirror=True, done=ONE_DONE, failed=FAILED, deleted=DELETED, after=SOURCE
    ),
}


@pytest.mark.parametrize("found", SOUND.values(), ids=SOUND)
def test_a_sound_run_is_none(found: Facts) -> None:
    assert list(violations(found)) == []


@pytest.mark.parametrize(("what", "found"), UNSOUND.items(), ids=UNSOUND)
def test_each_violation_is_seen(what: str, found: Facts) -> None:
    assert any(what in each for each in violations(found)), list(violations(found))


def requests(count: int) -> list[Request]:
    return [Request("GET", f"/bucket/{number % 50}", ()) for number in range(count)]


def test_a_tenth_of_the_requests_fails_whatever_their_order() -> None:
    met = []
    for order in (1, -1):
        proxy = RandomFaults("http://127.0.0.1:1", "seed")
        for request in requests(5000)[::order]:
            proxy.choose(request)
        met.append(proxy.met)
    assert met[0] == met[1]
    assert met[0].keys() == possible(requests(1)[0]).keys()
    assert 0.8 * SHARE < met[0].total() / 5000 < 1.2 * SHARE


@pytest.mark.timeout(300)
def test_two_small_cycles(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    options = ["10", "--seed", "163", "--jobs", "2", "--keep", str(tmp_path)]
    assert soak.main([*options, "--cycle", "1", "3"]) == 0, capsys.readouterr()
    out = capsys.readouterr().out
    for words in (r"minutes, seed 163$", r" get +1$", r" mirror +1$", r"in all +0$"):
        assert re.search(words, out, re.MULTILINE), out
    assert list(tmp_path.iterdir()) == []
