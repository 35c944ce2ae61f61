"""One cycle of a soak: a run that is failed and disturbed, and one in peace that finishes it."""

from __future__ import annotations

import json
import shutil
import traceback
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, fields
from pathlib import Path
from random import Random
from typing import Any

import commands
from commands import Result, Running, start
from faults.accounting import ending, read_journal
from soaking import contents
from soaking.checks import COMPLETE, Facts, Said, violations
from soaking.contents import Versions
from soaking.disturbances import WEIGHTS, Disturbance, Scene, disturbing, small_disk
from soaking.faults import RandomFaults
from soaking.trips import Copy, Get, Put, Trip, through
from stores.store import Store

commands.GRACE = 20.0  # seconds for children: one that is being spawned has much to import
LIMIT = 240.0  # seconds after which a run counts as hanging
VERBS = ("put", "get", "copy", "mirror")
FEW = ("--no-progress", "--connect-timeout=5", "--read-timeout=3", "--worker-timeout=8")
PARTS = ("--part-size=5MiB", "--multipart-threshold=5MiB")
Outcomes = dict[str, dict[str, dict[str, Any]]]  # outcome, key, record
_SILENT = (Disturbance.KILL_ALL, Disturbance.KILL_STATTER)  # of which no summary is left


@dataclass
class Figures:
    """What a soak has done so far."""

    cycles: Counter[str] = field(default_factory=Counter)  # by verb
    disturbed: Counter[str] = field(default_factory=Counter)  # by disturbance
    acts: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    outcomes: Counter[str] = field(default_factory=Counter)
    failures: Counter[str] = field(default_factory=Counter)  # by kind
    codes: Counter[int] = field(default_factory=Counter)
    requests: int = 0
    violations: list[str] = field(default_factory=list)

    def add(self, other: Figures) -> None:
        """Add those of another part of the soak."""
        for each in fields(self):
            setattr(self, each.name, getattr(self, each.name) + getattr(other, each.name))

    def __str__(self) -> str:
        said = f"{self.cycles.total()} cycles, {self.requests} requests"
        return f"{said}, {self.faults.total()} faults, {len(self.violations)} violations"


class Cycle:
    """A cycle by its number: everything but the timing follows from that and the seed."""

    def __init__(self, seed: int, number: int, store: Store, root: Path, figures: Figures) -> None:
        self._name = f"{seed}:{number}"
        self._rnd = Random(self._name)
        self._store, self._figures = store, figures
        self._place = root / f"cycle-{number}"
        self.verb = VERBS[number % len(VERBS)]
        self.disturbance = self._rnd.choices(list(WEIGHTS), list(WEIGHTS.values()))[0]
        self._mirror = self.verb == "mirror"
        self._runs = 0

    def __str__(self) -> str:
        return f"cycle {self._name.partition(':')[2]} ({self.verb}, {self.disturbance.value})"

    def run(self) -> list[str]:
        """Run it; returns the violations, and keeps its files if there are any."""
        self._figures.cycles[self.verb] += 1
        self._figures.disturbed[self.disturbance.value] += 1
        self._place.mkdir(parents=True)
        (self._place / "tmp").mkdir()
        found = []
        try:
            self._try()
        except AssertionError as broken:
            found = str(broken).splitlines()[:1] or ["an assertion failed"]
            (self._place / "violation").write_text(f"{self}: {broken}\n")
        except Exception as error:  # a store that died, or a defect here: the others go on
            found = [f"the soak itself failed: {type(error).__name__}: {error}"]
            (self._place / "violation").write_text(traceback.format_exc())
        if not found:
            shutil.rmtree(self._place)
        return [f"{self}: {each}" for each in found]

    def _try(self) -> None:
        trip = self._trip()
        source = contents.create(self._rnd)
        self._versions = Versions({name: [body] for name, body in source.items()})
        with self._disk(trip) as journal:
            trip.fill(source, contents.held(self._rnd, source))
            proxy = RandomFaults(self._store.url, self._name)
            with proxy.serving():
                self._disturbed(trip, proxy, journal)
                self._figures.requests += proxy.requests
                self._figures.faults.update(proxy.met)
                proxy.share = 0.0
                self._grow(trip)
                self._finish(trip, proxy)

    def _trip(self) -> Trip:
        verb = self._rnd.choice(["put", "get", "copy"]) if self._mirror else self.verb
        if verb == "copy":
            return Copy(self._store, self._place, through=self._rnd.random() < 0.5)
        return {"put": Put, "get": Get}[verb](self._store, self._place)

    @contextmanager
    def _disk(self, trip: Trip) -> Iterator[Path]:
        """Yield where the journal of the disturbed run is; it, or DIRECTORY, is on a small disk."""
        plain = self._place / "journal-1.jsonl"
        if self.disturbance is not Disturbance.FULL:
            yield plain
        elif isinstance(trip, Get):
            with small_disk(trip.directory, "40m"):
                yield plain
        else:
            with small_disk(self._place / "small", "16k"):
                yield self._place / "small" / "journal-1.jsonl"

    def _fill_disk(self, trip: Trip) -> None:
        """Leave next to no room in DIRECTORY, where it is on a small disk."""
        if self.disturbance is Disturbance.FULL and isinstance(trip, Get):
            room = shutil.disk_usage(trip.directory).free
            if room < 40 << 20:
                (trip.directory / "ballast").write_bytes(bytes(max(0, room - (64 << 10))))

    def _grow(self, trip: Trip) -> None:
        if isinstance(trip, Get):
            (trip.directory / "ballast").unlink(missing_ok=True)

    # The two runs

    def _disturbed(self, trip: Trip, proxy: RandomFaults, journal: Path) -> None:
        self._fill_disk(trip)
        before, around = trip.arrived(), trip.around()
        running = self._start(trip, proxy, journal)
        try:
            scene = self._scene(running, proxy, trip)
            with disturbing(self.disturbance, scene):
                result = running.wait(LIMIT)
        finally:
            running.close()
        self._keep(result, journal)
        self._count(result)
        said = self._said(trip, result, journal)
        self._figures.failures.update(each["kind"] for each in said.failed.values())
        facts = (self.disturbance, result.code, self._mirror, self._versions)
        self._hold(Facts(*facts, before, trip.arrived(), said))
        assert trip.around() == around, "what is outside was touched"
        self._check_rest(trip, result, proxy)

    def _finish(self, trip: Trip, proxy: RandomFaults) -> None:
        """Run the same command in peace: it succeeds, and then all is there and nothing else."""
        source = self._versions.newest()
        if not source and (self._mirror or trip.verb != "put"):
            return  # what has nothing is refused: nothing is deleted, and no such prefix exists
        before, around = trip.arrived(), trip.around()
        journal = self._place / "journal-2.jsonl"
        running = self._start(trip, proxy, journal)
        try:
            result = running.wait(LIMIT)
        finally:
            running.close()
        self._keep(result, journal)
        ending(result, journal)
        assert result.code == 0, f"the run that finishes: exit code {result.code}: {result.err}"
        expected = source if self._mirror else {**self._own(before), **source}
        after = trip.arrived()
        wrong = {name for name in expected if after.get(name) != expected[name]}
        assert not wrong, f"after the run that finishes {min(wrong)!r} is not as it should be"
        assert after.keys() <= expected.keys() | before.keys(), "it has made names of its own"
        assert not self._mirror or after == source, "the mirror is no mirror"
        assert trip.around() == around, "what is outside was touched"
        assert not trip.temporaries(), f"temporary files remain: {trip.temporaries()}"
        assert not any((self._place / "tmp").iterdir()), "files remain in TMPDIR"
        # Those of earlier contents of a file are left to ``s3pp clean``.
        may_remain = self._killed or self._versions.moved
        uploads = trip.uploads(proxy.unacknowledged)
        assert may_remain or not uploads, f"uploads remain: {uploads}"

    def _own(self, before: Mapping[str, bytes]) -> dict[str, bytes]:
        return {name: body for name, body in before.items() if name not in self._versions.of}

    @property
    def _killed(self) -> bool:
        """Whether something of the run may be left to others, as processes of it may be killed."""
        return self.disturbance not in (Disturbance.NONE, Disturbance.MOVE)

    def _start(self, trip: Trip, proxy: RandomFaults, journal: Path) -> Running:
        self._runs += 1
        rnd = Random(self._name)  # the same options for both runs
        options = [f"-P{rnd.choice([2, 3])}", f"-c{rnd.choice([8, 32])}", *FEW, *PARTS]
        options += ["--order=size"] if rnd.random() < 0.2 else []
        options += ["--start-method=spawn"] if rnd.random() < 0.1 else []
        options += ["--delete"] if self._mirror else []
        store = through(self._store, proxy.url)
        words = (trip.verb, "--json", f"--journal={journal}", *options, *trip.places(store))
        self._command = " ".join(map(str, words))
        env = {"TMPDIR": str(self._place / "tmp")}
        return start(*words, store=store, env=env, fresh=True)

    def _scene(self, running: Running, proxy: RandomFaults, trip: Trip) -> Scene:
        after = self._rnd.choice([1, 5, self._rnd.randrange(1, 2 * len(self._versions.of) + 20)])
        acts = self._figures.acts
        return Scene(running, proxy, self._rnd, acts, trip.change, self._versions, after)

    # What it said

    def _said(self, trip: Trip, result: Result, journal: Path) -> Said:
        """Return what it said; of one that was stopped before anything was done that is nothing."""
        if self.disturbance is Disturbance.FULL:
            found = _by_outcome(result.out)  # the journal may have had no room
        else:
            found = read_journal(journal)
            if result.code in COMPLETE or (result.out and self.disturbance not in _SILENT):
                ending(result, journal)
                assert _agree(found, _by_outcome(result.out)), "journal and output differ"
        return Said(
            **{
                outcome: {trip.name(key): record for key, record in records.items()}
                for outcome, records in found.items()
            }
        )

    def _count(self, result: Result) -> None:
        self._figures.codes[result.code] += 1
        for line in result.out.splitlines()[-1:]:
            summary = _parsed(line)
            if summary.get("event") == "summary":
                for name in ("done", "skipped", "failed", "deleted", "not_attempted"):
                    self._figures.outcomes[name.replace("_", " ")] += summary.get(name, 0)

    def _hold(self, facts: Facts) -> None:
        found = list(violations(facts))
        assert not found, "; ".join(found[:5])

    def _check_rest(self, trip: Trip, result: Result, proxy: RandomFaults) -> None:
        """Nothing stays behind but what a later run resumes, or a killed one could not remove."""
        if self._killed:
            return
        left = [name for name in trip.temporaries() if not name.endswith((".part", ".ranges"))]
        assert not left, f"temporary files: {left}"
        assert not any((self._place / "tmp").iterdir()), "files in TMPDIR"
        if result.code == 0:
            assert not trip.temporaries(), f"temporary files: {trip.temporaries()}"
            uploads = trip.uploads(proxy.unacknowledged)
            assert not uploads, f"unfinished uploads: {uploads}"

    def _keep(self, result: Result, journal: Path) -> None:
        """Write what the run said beside its files, for whoever looks into a violation."""
        said = f"{self._command}\nexit code {result.code}\n--- stdout\n{result.out}"
        said += f"--- stderr\n{result.err}"
        (self._place / f"run-{self._runs}").write_text(said, errors="surrogateescape")
        if journal.parent != self._place and journal.exists():
            shutil.copy(journal, self._place / f"full-{self._runs}.jsonl")


def _agree(journal: Outcomes, out: Outcomes) -> bool:
    """Return whether both have the same objects, and the journal all that the output says."""
    for outcome, records in journal.items():
        said = out[outcome]
        if records.keys() != said.keys():
            return False
        if any(_without(said[name]).items() - records[name].items() for name in said):
            return False
    return True


def _without(record: dict[str, Any]) -> dict[str, Any]:
    """Return a record without the algorithm of its checksum, which a journal has in its value."""
    return {name: value for name, value in record.items() if name != "checksum_algorithm"}


def _parsed(line: str) -> dict[str, Any]:
    try:
        found = json.loads(line)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _by_outcome(out: str) -> Outcomes:
    """What stdout has, in the form of ``read_journal``."""
    found: Outcomes = {"done": {}, "skipped": {}, "failed": {}, "deleted": {}}
    for record in map(_parsed, out.splitlines()):
        if record.get("event") in found:
            found[record["event"]][record.get("key") or record["path"]] = record
    return found
