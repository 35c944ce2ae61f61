"""Moves that meet faults: at any moment each object is at one end at least, whole."""

from __future__ import annotations

import json
import re
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from commands import Argument, Result, Running, as_anybody
from faults.killers import KillClient, kill
from faults.trials import FAST, FEW, Trial
from stores.fault_actions import Call, Delay, LoseResponse, Rewrite, SetHeaders, Status
from stores.fault_proxy import FaultProxy, Rule
from stores.store import Bucket, Store
from trees import as_bytes, make_tree, read_tree

Make = Callable[[type[Any], Store], Any]
DELETES = r"\?delete="
NAMES = [f"{number:02}" for number in range(12)]
MANY = [f"{number:03}" for number in range(120)]
MARKED = rb"(<Key>p/a</Key>.*?<ETag>)[^<]*"


class MoveTrial(Trial):
    """Objects or files that are moved from one place to another."""

    verb = "move"
    fast = FAST + FEW

    def __init__(self, bucket: Bucket, proxy: FaultProxy, start: Any, root: Path) -> None:
        super().__init__(bucket, proxy, start, root)
        self.other = bucket.store.bucket()
        self.directory = root / "dir"
        self.contents: dict[str, bytes] = {}
        self.places_of: list[Argument] = []

    @property
    def places(self) -> list[Argument]:
        return self.places_of

    @property
    def journal(self) -> Path:
        return self._root / "journal.jsonl"

    def put(self, names: list[str]) -> None:
        """Move files to the bucket."""
        self.contents = read_tree(make_tree(self.directory, dict.fromkeys(names, 1000)))
        self.places_of = [self.directory, f"{self.bucket.url}/p"]

    def get(self, names: list[str]) -> None:
        """Move objects to the directory."""
        self.contents = {name: as_bytes(name, 1000) for name in names}
        self.bucket.fill({f"p/{name}": body for name, body in self.contents.items()})
        self.places_of = [f"{self.bucket.url}/p", self.directory]

    def copy(self, names: list[str]) -> None:
        """Move objects to another bucket."""
        self.get(names)
        self.places_of = [f"{self.bucket.url}/p", f"{self.other.url}/p"]

    def start(self, *options: str, **settings: Any) -> Running:
        self.journal.unlink(missing_ok=True)
        return self.start_plain("--json", f"--journal={self.journal}", *options, **settings)

    def run(self, *options: str) -> Result:
        return self.end(self.start(*options))

    def end(self, running: Running) -> Result:
        """Wait for the end of a run, and verify that nothing is lost and nothing told twice."""
        result = running.wait(90)
        self.check()
        told: set[tuple[str, str]] = set()
        lines = self.journal.read_text().splitlines()
        for record in map(json.loads, lines[1:-1]):
            name = record.get("source") or record.get("path") or record["key"]
            ending = "deletion" if record.get("deleting") or record["event"] == "deleted" else ""
            assert (name, ending) not in told, record
            told.add((name, ending))
        return result

    def check(self) -> None:
        ends = [self.left(), *self.ends()]
        for name, body in self.contents.items():
            assert any(end.get(name) == body for end in ends), f"{name} is lost"

    def left(self) -> dict[str, bytes]:
        """What is left at the source."""
        remote = isinstance(self.places_of[0], str)
        return below(self.bucket) if remote else read_tree(self.directory)

    def ends(self) -> list[dict[str, bytes]]:
        found = [below(self.bucket), below(self.other)]
        if self.directory.exists():
            found.append(read_tree(self.directory))
        return found

    def check_moved(self, result: Result, *kept: str) -> None:
        """All but ``kept`` has moved."""
        assert result.code == (1 if kept else 0), result.err
        assert sorted(self.left()) == sorted(kept)


def below(bucket: Bucket) -> dict[str, bytes]:
    return {key.removeprefix("p/"): body for key, body in bucket.tree().items()}


@pytest.fixture
def move(make_trial: Make, moto: Store) -> MoveTrial:
    trial: MoveTrial = make_trial(MoveTrial, moto)
    return trial


EACH = pytest.mark.parametrize("verb", ["put", "get", "copy"])


# What others do meanwhile


def test_a_file_that_changes_after_it_was_sent_stays(move: MoveTrial) -> None:
    """As long as other files of its batch are under way, and before it is deleted."""
    move.put(["a", "b", "c"])
    changed = move.directory / "a"

    def change(_: object) -> None:
        changed.write_bytes(b"written meanwhile")
        move.contents["a"] = b"written meanwhile"

    move.inject(Rule(Call(change), "PUT", "/a$", times=1))
    result = move.run()
    assert result.code == 1
    assert f"delete {changed}: it has changed since it was listed, and is kept" in result.err
    assert read_tree(move.directory) == {"a": b"written meanwhile"}
    move.check_moved(move.run())


@pytest.mark.parametrize("verb", ["get", "copy"])
def test_an_object_that_is_replaced_stays(move: MoveTrial, verb: str) -> None:
    getattr(move, verb)(["a"])
    body = b"of another writer"
    move.inject(
        Rule(
            Call(lambda _: move.bucket.put("p/a", body)),
            "HEAD",
            f"{move.bucket.name}/p/a$",
            times=1,
        )
    )
    result = move.run()
    assert result.code == 1
    assert f"delete {move.bucket.url}/p/a: it was replaced since it was listed" in result.err
    assert move.bucket.get("p/a") == body


def test_one_place_by_two_names_is_not_emptied(
    move: MoveTrial, make_proxy: Callable[[Store], FaultProxy], moto: Store
) -> None:
    """Nothing tells such an endpoint from another store that has the same bucket."""
    move.copy(NAMES[:4])
    move.places_of = [f"{move.bucket.url}/p", f"{move.bucket.url}/p"]
    other = make_proxy(moto)
    for _ in range(2):
        result = move.run(f"--source-endpoint-url={other.url}")
        assert result.code == 1
        assert "it is kept: neither ETag nor checksum proves" in result.err
        assert below(move.bucket) == move.contents


# What the store refuses, or does not show


@EACH
def test_a_transfer_that_fails_leaves_its_source(move: MoveTrial, verb: str) -> None:
    getattr(move, verb)(NAMES)
    method = "GET" if verb == "get" else "PUT"
    move.inject(Rule(Status(403, "AccessDenied"), method, "/p/0[01]$"))
    result = move.run()
    move.check_moved(result, "00", "01")
    assert "AccessDenied" in result.err


@pytest.mark.parametrize("verb", ["get", "copy"])
def test_a_source_that_may_not_be_deleted_is_named(move: MoveTrial, verb: str) -> None:
    getattr(move, verb)(NAMES)
    statement = {
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:DeleteObject",
        "Resource": f"arn:aws:s3:::{move.bucket.name}/p/0*",
    }
    policy = {"Version": "2012-10-17", "Statement": [statement]}
    move.bucket.client.put_bucket_policy(Bucket=move.bucket.name, Policy=json.dumps(policy))
    result = move.run()
    kept = [name for name in NAMES if name.startswith("0")]
    move.check_moved(result, *kept)
    assert f"delete {move.bucket.url}/p/00: AccessDenied: Access Denied" in result.err


def test_a_file_that_may_not_be_deleted_is_named(move: MoveTrial) -> None:
    move.put([f"closed/{name}" for name in NAMES[:2]])
    (move.directory / "closed").chmod(0o500)
    result = move.end(move.start(preexec_fn=as_anybody))
    (move.directory / "closed").chmod(0o700)
    move.check_moved(result, "closed/00", "closed/01")
    assert "cannot be deleted: Permission denied" in result.err


def test_an_etag_that_proves_nothing_keeps_its_object(move: MoveTrial) -> None:
    move.get(["a", "b"])

    def hide(body: bytes) -> bytes:
        return re.sub(MARKED, rb"\1&quot;opaque-1&quot;", body, flags=re.DOTALL)

    move.inject(
        Rule(Rewrite(hide), "GET", "list-type=2"),
        Rule(SetHeaders((("ETag", '"opaque-1"'),)), "GET|HEAD", "/p/a$"),
    )
    result = move.run()
    move.check_moved(result, "a")
    why = "it is kept: neither ETag nor checksum proves that what was transferred is the same"
    assert f"delete {move.bucket.url}/p/a: {why}" in result.err


# Bad luck


@EACH
def test_a_lost_answer(move: MoveTrial, verb: str) -> None:
    getattr(move, verb)(NAMES)
    move.inject(
        Rule(LoseResponse(), "POST", DELETES, times=2), Rule(LoseResponse(), "PUT", times=2)
    )
    move.check_moved(move.run())


@EACH
def test_workers_that_die_lose_nothing(move: MoveTrial, verb: str) -> None:
    """While they transfer, and while they delete."""
    getattr(move, verb)(MANY)
    killer = KillClient()
    move.inject(
        Rule(killer, "POST", DELETES, times=1, skip=1),
        Rule(killer, "GET" if verb == "get" else "PUT", "/p/0[0-9]0$", times=1),
    )
    running = move.start()
    killer.running.append(running)
    result = move.end(running)
    assert killer.deaths >= 1
    move.check_moved(result)
    assert move.ends()[{"put": 0, "get": 2, "copy": 1}[verb]] == move.contents


@EACH
def test_a_run_that_is_killed_is_finished_by_the_next(move: MoveTrial, verb: str) -> None:
    getattr(move, verb)(MANY)
    move.inject(Rule(Delay(0.02), "PUT|GET", "/p/"))
    running = move.start()
    move.proxy.wait_for(60, "GET" if verb == "get" else "PUT")
    children = list(running.children().values())
    for pid in (running.pid, *children):
        kill(pid)
    running.wait(60)
    move.check()
    assert move.left()
    move.check_moved(move.run())


def test_a_signal_ends_a_move_between_objects(move: MoveTrial) -> None:
    move.put(MANY)
    move.inject(Rule(Delay(0.05), "PUT"))
    running = move.start()
    move.proxy.wait_for(30)
    running.signal(signal.SIGINT)
    result = move.end(running)
    assert result.code == 130
    assert move.left()
    move.check_moved(move.run())
