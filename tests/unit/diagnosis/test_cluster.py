"""What the checks make of what Dask workers say, with a bridge that this test plays."""

from __future__ import annotations

import json
import socket
from base64 import b64decode
from collections.abc import Mapping, Sequence
from io import StringIO
from pathlib import Path
from typing import Any

import pytest

from s3pp import __version__
from s3pp.access import Keys
from s3pp.cluster import Cluster
from s3pp.diagnosis.cluster_checks import ClusterChecks
from s3pp.diagnosis.examination import Examined
from s3pp.diagnosis.findings import Diagnosis, Finding, Rating, failed, not_tried, ok, warning
from s3pp.diagnosis.page import FindingsPage
from s3pp.diagnosis.worker_findings import read_sections, summarize, write_sections
from s3pp.diagnosis.worker_program import WorkerRequest
from s3pp.errors import ExitStatus, FatalError
from s3pp.job import Job
from s3pp.output import Output
from s3pp.pipeline.cluster.control import Control
from s3pp.pipeline.cluster.dask_worker import this_python
from s3pp.pipeline.cluster.probe import PathProbe
from s3pp.places import parse_origin
from s3pp.report.outlet import Streams
from s3pp.s3.endpoint import Endpoint, Opened

Event = tuple[str, Mapping[str, Any]]

FIRST, SECOND = "tcp://10.0.0.1:4000", "tcp://10.0.0.2:4000"
SECRET = "a-secret-that-stays-here"
ENDPOINT = Endpoint("http", "store.example", "/b", "us-east-1", "b")
OPENED = Opened(ENDPOINT, Keys("key", SECRET), None, listable=True)
WELL = json.dumps({"speed": [ok("latency", "median 2.0 ms")]})


def facts(worker: str, **others: Any) -> Event:
    """A Dask worker that fits, but for ``others``."""
    known = {"version": __version__, "python": this_python(), "host": "node", "threads": 2}
    return "joined", {"worker": worker, "identity": "i", "unseen": "", **known, **others}


class Bridge(Control):
    """Says some events, and answers each request for an examination."""

    def __init__(self, said: Sequence[Event], answers: Mapping[str, Mapping[str, Any]]) -> None:
        ours, theirs = socket.socketpair()
        super().__init__(ours)
        self.asked: list[dict[str, Any]] = []
        self.probes: list[PathProbe] = []
        self._answers = answers
        self._far = Control(theirs)
        for event, content in said:
            self._far.send(event, **content)

    def send(self, event: str, *descriptors: int, **content: Any) -> None:
        """Answer, as the Dask worker would."""
        assert (event, descriptors) == ("examine", ())
        self.asked.append(content)
        answer = self._answers.get(content["worker"])
        if answer is None:
            self._far.send("fatal", why="OSError: the scheduler is gone")
        else:
            self._far.send("examined", worker=content["worker"], **answer)

    @property
    def control(self) -> Bridge:
        """The channel to it."""
        return self

    def connect(self, _: Job, probes: list[PathProbe]) -> Bridge:
        """As ``ClusterConnection``."""
        self.probes = probes
        return self

    def close(self) -> None:
        """Close both ends."""
        super().close()
        self._far.close()


def answer(text: str = WELL, *, seconds: float = 0.001, is_direct: bool = True) -> dict[str, Any]:
    """What the bridge says of an examination."""
    return {"answer": text, "round_trip": seconds, "is_direct": is_direct}


def check(
    bridge: Bridge, *, opened: Opened | None = OPENED, path: str = "", sends: bool = False
) -> Diagnosis:
    """Make the checks; the error that ends them is in ``ending``."""
    settings = Cluster(dask="tcp://head:8786", send_credentials=sends)
    job = Job("doctor", origins=(parse_origin("s3://bucket"),), cluster=settings)
    diagnosis = Diagnosis()
    page = FindingsPage(diagnosis, Output(), Streams.of(StringIO(), StringIO()))
    checks = ClusterChecks(Examined(job, path=path), diagnosis, page, bridge.connect)
    try:
        checks.run(opened)
    except FatalError:
        diagnosis.ending = ExitStatus.ABORTED
    return diagnosis


def problems(diagnosis: Diagnosis) -> list[tuple[str, Finding]]:
    """What a user has to look at, by section."""
    pairs = ((title, each) for title, found in diagnosis.sections.items() for each in found)
    return [(title, each) for title, each in pairs if each.is_problem]


def test_workers_that_are_well() -> None:
    bridge = Bridge(
        [facts(FIRST), facts(SECOND), ("ready", {})], {FIRST: answer(), SECOND: answer()}
    )
    diagnosis = check(bridge)
    assert diagnosis.status is ExitStatus.OK
    assert list(diagnosis.sections) == [
        "cluster",
        *(f"worker {each} on node" for each in (FIRST, SECOND)),
    ]
    assert diagnosis.sections["cluster"] == [
        ok("scheduler", "tcp://head:8786: 2 Dask workers with 4 threads")
    ]
    assert diagnosis.sections[f"worker {FIRST} on node"] == [
        ok("version", f"s3pp {__version__} on {this_python()}, as here"),
        ok("threads", "2: a run has 2 processes there"),
        ok("round trip", "median 1.0 ms through Dask, directly"),
        ok("latency", "median 2.0 ms"),
    ]


def test_one_that_does_not_fit_is_no_end() -> None:
    """It is not examined, and no run could begin."""
    misfit = facts(FIRST, version="0.0.1", unseen="No such file or directory: 'data'")
    bridge = Bridge([misfit, facts(SECOND), ("ready", {})], {SECOND: answer()})
    diagnosis = check(bridge, path=".")
    assert diagnosis.status is ExitStatus.USAGE
    assert [each["worker"] for each in bridge.asked] == [SECOND]
    assert [each.check for _, each in problems(diagnosis)] == ["version", "path"]
    assert diagnosis.sections[f"worker {SECOND} on node"][-1] == ok("latency", "median 2.0 ms")


def test_one_without_s3pp() -> None:
    why = "Exception: ModuleNotFoundError(\"No module named 's3pp'\")"
    bridge = Bridge([("refused", {"worker": FIRST, "why": why}), ("ready", {})], {})
    diagnosis = check(bridge)
    advice = "install s3pp there, in the environment of dask worker"
    assert problems(diagnosis) == [(f"worker {FIRST}", failed("Dask worker", why, advice))]
    assert diagnosis.status is ExitStatus.USAGE


@pytest.mark.parametrize(
    ("said", "found"),
    [
        ([("ready", {})], "there is none"),
        ([("fatal", {"why": "OSError: no route"})], "tcp://head:8786: OSError: no route"),
        ([facts(FIRST), ("ready", {})], "OSError: the scheduler is gone"),
    ],
)
def test_a_cluster_that_cannot_be_used(said: list[Event], found: str) -> None:
    diagnosis = check(Bridge(said, {}))
    assert [each.found for _, each in problems(diagnosis)] == [found]
    assert diagnosis.status is ExitStatus.ABORTED


def test_checks_that_a_worker_cannot_make() -> None:
    bridge = Bridge([facts(FIRST), ("ready", {})], {FIRST: {"why": "RuntimeError: no memory"}})
    diagnosis = check(bridge)
    assert [each.found for _, each in problems(diagnosis)] == ["RuntimeError: no memory"]
    assert diagnosis.status is ExitStatus.SOME_FAILED


@pytest.mark.parametrize(("seconds", "is_direct"), [(0.001, False), (0.5, True)])
def test_a_way_that_is_long(seconds: float, is_direct: bool) -> None:
    said = answer(seconds=seconds, is_direct=is_direct)
    diagnosis = check(Bridge([facts(FIRST), ("ready", {})], {FIRST: said}))
    assert [each.check for _, each in problems(diagnosis)] == ["round trip"]
    assert diagnosis.status is ExitStatus.OK


@pytest.mark.parametrize("sends", [False, True])
def test_keys_are_sent_only_on_request(sends: bool) -> None:
    bridge = Bridge([facts(FIRST), ("ready", {})], {FIRST: answer()})
    check(bridge, sends=sends)
    (asked,) = bridge.asked
    request = WorkerRequest.decode(asked["request"])
    assert request.opened is not None
    assert request.opened.keys == (OPENED.keys if sends else None)
    assert (SECRET.encode() in b64decode(asked["request"])) is sends


def test_a_directory_is_proved_by_a_file(tmp_path: Path) -> None:
    bridge = Bridge([facts(FIRST), ("ready", {})], {FIRST: answer()})
    diagnosis = check(bridge, path=str(tmp_path))
    (probe,) = bridge.probes
    assert (Path(probe.path).parent, list(tmp_path.iterdir())) == (tmp_path, [])
    assert ok("path", f"{str(tmp_path)!r} is the same as here") in diagnosis.findings


def test_what_is_printed_of_a_worker() -> None:
    diagnosis = Diagnosis()
    diagnosis.sections = {
        "machine": [ok("memory", "enough"), warning("open files", "few", "raise it")],
        "credentials": [ok("source", "the role of the instance (EC2)"), ok("expiry", "none")],
        "permissions": [
            ok("list objects", "allowed"),
            failed("get object", "access denied", "allow it"),
            ok("list uploads", "allowed"),
            not_tried("put object", "--read-only"),
        ],
    }
    found = list(summarize(read_sections(write_sections(diagnosis)), sent=False))
    assert found == [
        warning("open files", "few", "raise it"),
        ok("credentials", "the role of the instance (EC2)"),
        failed("get object", "access denied", "allow it"),
        ok("permissions", "list objects, list uploads: allowed"),
        not_tried("permissions", "put object: --read-only"),
    ]
    assert found[1].rating is Rating.OK


def test_credentials_that_were_sent_are_called_so() -> None:
    (found,) = summarize({"credentials": [ok("source", "the caller")]}, sent=True)
    assert found.found == "those of this machine (--dask-send-credentials)"
