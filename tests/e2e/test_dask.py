"""Runs on a Dask cluster: a scheduler and two workers here, which behave as machines elsewhere."""

from __future__ import annotations

import shutil
import signal
import threading
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from commands import ROOT, Result, Run, Start, owner_of
from conftest import Tree
from dask_cluster import DaskCluster, may_mount, wait_until
from s3pp import __version__
from s3pp.pipeline.cluster.dask_worker import this_python
from stores.fault_actions import Action, Exchange, Gate, Response
from stores.fault_proxy import FaultProxy, Rule
from stores.ports import free_port
from stores.store import Bucket, Store
from trees import read_tree

pytestmark = pytest.mark.timeout(600)

MIB = 1 << 20
FILES = {f"d{n % 3}/f{n:02d}": 100 + n for n in range(30)}
BLOCKED = "import sys; sys.modules['s3pp'] = None"  # of ``sitecustomize``: it cannot be imported
VARIES = ("event", "seconds", "requests", "bytes_per_second", "retries", "version", "started")


def told(result: Result) -> list[dict[str, Any]]:
    """What a run said of each object, and its summary, without what differs from run to run."""
    same = [{k: v for k, v in event.items() if k not in VARIES} for event in result.events]
    return sorted(same, key=str)


# Each verb


def each_verb(
    s3pp: Run, options: Sequence[str], source: Path, root: Path, store: Store
) -> list[object]:
    """Run each verb with ``options``, and return what each has said and done, without names."""
    first, second = store.bucket(), store.bucket()
    dest = root / "dest"
    found: list[object] = []

    def run(verb: str, *places: object) -> None:
        result = s3pp(verb, *options, "--json", "-vv", *places, timeout=120)
        assert result.code == 0, result
        names = {str(root): "ROOT", first.name: "FIRST", second.name: "SECOND"}
        text = str(told(result))
        for name, instead in names.items():
            text = text.replace(name, instead)
        found.append(text)
        found.append([read_tree(dest), first.tree(), second.tree()])

    run("put", source, first.url)
    run("copy", first.url, f"{second.url}/c")
    run("move", f"{first.url}/d1", f"{second.url}/m")
    run("verify", f"{first.url}/d2", f"{second.url}/c/d2")
    run("get", second.url, dest)
    run("remove", f"{second.url}/c")
    return found


def test_each_verb_does_and_says_what_it_does_without(
    s3pp: Run, dask: DaskCluster, tree: Tree, tmp_path: Path, moto: Store
) -> None:
    source = tree(FILES)
    there = each_verb(s3pp, [f"--dask={dask.address}"], source, tmp_path / "a", moto)
    here = each_verb(s3pp, [], source, tmp_path / "b", moto)
    for one, other in zip(there, here, strict=True):
        assert one == other


def test_a_dry_run_and_an_update_of_what_is_there(
    s3pp: Run, dask: DaskCluster, tree: Tree, moto_bucket: Bucket
) -> None:
    source = tree(FILES)
    assert s3pp("put", source, moto_bucket.url).code == 0
    source = tree({**FILES, "d1/f01": "changed", "new": 5})
    before = moto_bucket.tree()
    update = ("put", f"--dask={dask.address}", "--mode=update", source, moto_bucket.url)
    shown = s3pp(*update, "--dry-run", timeout=120)
    assert (shown.code, shown.counts.done) == (0, 2), shown
    assert moto_bucket.tree() == before
    result = s3pp(*update, timeout=120)
    assert (result.code, result.err) == (0, "")
    assert (result.counts.done, result.counts.skipped) == (2, len(FILES) - 1)
    assert moto_bucket.tree() == read_tree(source)


@dataclass
class AwaitBoth(Action):
    """Hold requests until each worker process of a cluster has sent one."""

    dask: DaskCluster
    senders: set[int | None] = field(default_factory=set)
    both: threading.Event = field(default_factory=threading.Event)

    def answer(self, exchange: Exchange) -> Response:
        self.senders.add(owner_of(exchange.request.port, list(self.dask.putters)))
        if len(self.senders - {None}) == 2:
            self.both.set()
        exchange.await_event(self.both)
        return exchange.forward()


def test_parts_of_a_large_object_are_moved_by_both_workers(
    s3pp: Run, dask: DaskCluster, tree: Tree, moto_bucket: Bucket
) -> None:
    source = tree({"large": 30 * MIB})
    parts = ("--part-size=5MiB", "--multipart-threshold=5MiB", "--concurrency=2")
    with FaultProxy(moto_bucket.store.url).serving() as proxy:
        proxy.inject(Rule(AwaitBoth(dask), "PUT", "partNumber"))
        store = replace(moto_bucket.store, url=proxy.url)
        put = ("put", f"--dask={dask.address}", *parts, source, moto_bucket.url)
        result = s3pp(*put, store=store, timeout=120)
    assert (result.code, result.counts.done, result.err) == (0, 1, "")
    assert moto_bucket.tree() == read_tree(source)


# Clusters


def test_a_tree_goes_there_and_back_on_a_cluster_of_this_machine(
    s3pp: Run, moto_bucket: Bucket, tree: Tree, tmp_path: Path
) -> None:
    source = tree({**FILES, "large": 12_000_000})
    words = ("--dask=local:2", "--part-size=5MiB", "--multipart-threshold=5MiB")
    put = s3pp("put", *words, source, moto_bucket.url, timeout=120)
    assert (put.code, put.counts.done) == (0, len(FILES) + 1), put
    assert moto_bucket.tree() == read_tree(source)
    get = s3pp("get", *words, moto_bucket.url, tmp_path / "out", timeout=120)
    assert (get.code, get.counts.done) == (0, len(FILES) + 1), get
    assert read_tree(tmp_path / "out") == read_tree(source)


def test_settings_of_tls_that_are_missing_are_named(
    s3pp: Run, moto_bucket: Bucket, tree: Tree, tmp_path: Path
) -> None:
    src, words = tree({"f": b"x"}), ("put", "--dask=tls://127.0.0.1:9")
    without = s3pp(*words, src, moto_bucket.url)
    assert without.code == 3
    assert "tls:// needs certificates, distributed.comm.tls" in without.err
    gone = s3pp(*words, f"--dask-security={tmp_path}/gone", src, moto_bucket.url)
    assert gone.code == 2
    assert f"--dask-security '{tmp_path}/gone': No such file or directory" in gone.err
    settings = tmp_path / "dask.yaml"
    settings.write_text("{distributed: {comm: {tls: {ca-file: /gone, client: {cert: /gone}}}}}")
    wrong = s3pp(*words, f"--dask-security={settings}", src, moto_bucket.url)
    assert wrong.code == 3
    assert "cannot be used: No such file or directory" in wrong.err


def test_credentials_are_sent_over_tls_on_request(
    s3pp: Run,
    tls_cluster: DaskCluster,
    tls_settings: Path,
    tree: Tree,
    moto_bucket: Bucket,
    tmp_path: Path,
) -> None:
    source = tree(FILES)
    tls = (f"--dask={tls_cluster.address}", f"--dask-security={tls_settings}")
    sent, journal = ("--dask-send-credentials", f"--journal={tmp_path}/j"), tmp_path / "j"
    result = s3pp("put", *tls, *sent, source, moto_bucket.url, timeout=120)
    assert (result.code, result.counts.done, result.err) == (0, len(FILES), "")
    assert moto_bucket.tree() == read_tree(source)
    retried = s3pp("retry", "--no-dask", journal)  # the journal names the option, and lacks nothing
    assert (retried.code, retried.counts.skipped) == (0, len(FILES)), retried
    result = s3pp("put", *tls, source, moto_bucket.url, timeout=120)
    assert result.code == 3, result
    assert "no credentials found" in result.err
    tls_cluster.check_idle()


@pytest.fixture
def odd_worker(dask: DaskCluster) -> Any:
    """``odd_worker(...)``, as ``DaskCluster.start_worker``: one more, until the test ends."""
    with ExitStack() as stack:

        def start(**settings: Any) -> None:
            worker = dask.start_worker(**settings)
            stack.callback(dask.wait_for_workers, 2)
            stack.callback(dask.end_worker, worker)
            dask.wait_for_workers(3)

        yield start


def refusal(s3pp: Run, dask: DaskCluster, *places: object) -> str:
    """Put, which is refused before anything is done; return the line that says why."""
    result = s3pp("put", f"--dask={dask.address}", *places, timeout=120)
    assert (result.code, result.out) == (2, ""), result
    (line,) = result.err.splitlines()
    return line


def test_a_worker_that_does_not_see_the_source_is_refused(
    s3pp: Run, dask: DaskCluster, odd_worker: Any, tree: Tree, moto_bucket: Bucket
) -> None:
    if not may_mount():
        pytest.skip("no mount namespace can be made here")
    source = tree(FILES)
    hide = f'mount -t tmpfs none {source} && exec "$@"'
    odd_worker(prefix=["unshare", "-m", "sh", "-c", hide, "sh"])
    line = refusal(s3pp, dask, source, moto_bucket.url)
    assert "does not see what this machine does" in line
    assert f"'{source}'" in line
    assert moto_bucket.keys() == []


def test_a_worker_of_another_version_is_refused(
    s3pp: Run,
    dask: DaskCluster,
    odd_worker: Any,
    tree: Tree,
    moto_bucket: Bucket,
    tmp_path: Path,
) -> None:
    package = tmp_path / "other" / "s3pp"
    shutil.copytree(ROOT / "s3pp", package, ignore=shutil.ignore_patterns("__pycache__"))
    init = package / "__init__.py"
    init.write_text(init.read_text().replace(f'"{__version__}"', '"0.0.1"'))
    odd_worker(environment={"PYTHONPATH": str(package.parent)})
    line = refusal(s3pp, dask, tree(FILES), moto_bucket.url)
    assert f"has s3pp 0.0.1 on {this_python()}, and here is {__version__}" in line
    assert moto_bucket.keys() == []


def test_a_worker_without_s3pp_is_refused(
    s3pp: Run,
    dask: DaskCluster,
    odd_worker: Any,
    tree: Tree,
    moto_bucket: Bucket,
    tmp_path: Path,
) -> None:
    elsewhere = tmp_path / "blocked"  # not where the command runs: it would import it too
    elsewhere.mkdir()
    (elsewhere / "sitecustomize.py").write_text(BLOCKED)
    odd_worker(environment={"PYTHONPATH": str(elsewhere)})
    line = refusal(s3pp, dask, tree(FILES), moto_bucket.url)
    assert "cannot be used: " in line
    assert "s3pp" in line
    assert moto_bucket.keys() == []


def test_more_sources_than_one_message_holds(
    s3pp: Run, dask: DaskCluster, tree: Tree, moto_bucket: Bucket
) -> None:
    names = [f"{number:03}-{'n' * 120}" for number in range(500)]
    source = tree(dict.fromkeys(names, b"x"))
    words = ("put", f"--dask={dask.address}", *(source / name for name in names))
    result = s3pp(*words, moto_bucket.url, timeout=120)
    assert (result.code, result.counts.done) == (0, len(names)), result
    assert moto_bucket.keys() == names


def test_no_scheduler_is_there(s3pp: Run, tree: Tree, moto_bucket: Bucket) -> None:
    soon = {"DASK_DISTRIBUTED__COMM__TIMEOUTS__CONNECT": "1s"}
    dask = f"--dask=tcp://127.0.0.1:{free_port()}"
    result = s3pp("put", dask, tree(FILES), moto_bucket.url, env=soon, timeout=120)
    assert (result.code, result.out) == (3, ""), result
    (line,) = result.err.splitlines()
    assert dask.partition("=")[2] in line


# Ctrl-C


def interrupted(
    start: Start, dask: DaskCluster, source: Path, bucket: Bucket, *, times: int
) -> Result:
    """Put, with so many signals while requests are held; they pass after those."""
    gate = Gate()
    with FaultProxy(bucket.store.url).serving() as proxy:
        proxy.inject(Rule(gate, "PUT"))
        store = replace(bucket.store, url=proxy.url)
        running = start("put", f"--dask={dask.address}", source, bucket.url, store=store)
        proxy.wait_for(4, timeout=120)
        running.signal(signal.SIGINT)
        wait_until(lambda: "interrupted" in running.err(), "nothing is said")
        if times == 1:
            gate.open()
        else:
            running.signal(signal.SIGINT)
        return running.wait(120)


@pytest.mark.parametrize("times", [1, 2])
def test_ctrl_c_leaves_nothing_on_the_cluster(
    s3pp_start: Start, dask: DaskCluster, tree: Tree, moto_bucket: Bucket, times: int
) -> None:
    result = interrupted(s3pp_start, dask, tree(FILES), moto_bucket, times=times)
    assert result.code == 130
    dask.check_idle()
    if times == 1:
        assert result.counts.done == len(moto_bucket.keys()) > 0
