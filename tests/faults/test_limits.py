"""Few file descriptors. Row 42 of the catalogue."""

from __future__ import annotations

import os
import re
import resource
import shutil
import subprocess
from functools import partial

import pytest

from commands import COMMAND, Run, clean_environment
from faults.accounting import check_all_done
from faults.trials import PutTrial
from s3pp.app import DESCRIPTORS as RUN
from s3pp.app import EACH_WORKER
from stores.store import Store

DESCRIPTORS = 64


def few_descriptors() -> None:
    resource.setrlimit(resource.RLIMIT_NOFILE, (DESCRIPTORS, DESCRIPTORS))


@pytest.mark.parametrize("size", [2000, 400_000], ids=["small", "streamed"])
def test_few_descriptors_are_enough(moto_trial: PutTrial, size: int) -> None:
    contents = moto_trial.tree({f"d{n % 5}/f{n:03d}": size for n in range(150)})
    end = moto_trial.run("--concurrency=512", preexec_fn=few_descriptors)
    check_all_done(end, moto_trial.bucket, contents)
    assert "Too many open files" not in end.result.err


@pytest.mark.parametrize("limit", [8, 16, 20, 24, 31])
@pytest.mark.parametrize("verb", ["put", "list"])
def test_too_few_to_begin_with_are_told_with_the_mend(
    moto_trial: PutTrial, s3pp: Run, verb: str, limit: int
) -> None:
    moto_trial.tree({"f": 10})
    bucket = moto_trial.bucket
    words = [verb, *([moto_trial.source] if verb == "put" else []), bucket.url]
    result = s3pp(*words, preexec_fn=partial(at_most, limit))
    assert (result.code, result.out, result.err.count("\n")) == (3, "", 1)
    assert "raise ulimit -n" in result.err
    assert bucket.keys() == []


@pytest.mark.parametrize("method", ["fork", "spawn"])
@pytest.mark.parametrize("processes", [1, 2, 6])
def test_the_fewest_that_are_not_refused_are_enough(
    moto_trial: PutTrial, processes: int, method: str
) -> None:
    contents = moto_trial.tree({f"f{n:02d}": 2000 for n in range(40)})
    least = RUN + EACH_WORKER * processes
    words = ["-P", str(processes), "--start-method", method]
    end = moto_trial.run(*words, preexec_fn=partial(at_most, least))
    check_all_done(end, moto_trial.bucket, contents)
    assert end.result.err == ""


def test_what_may_be_raised_is_raised(moto_trial: PutTrial) -> None:
    contents = moto_trial.tree({"f": 2000})
    end = moto_trial.run(preexec_fn=partial(at_most, 16, 256))
    check_all_done(end, moto_trial.bucket, contents)


# Processes and threads. The limit is one of a user's, and holds for none who may raise it: the
# command runs as a user of its own, who may read what the tests' user may.
CAPABILITIES = "+dac_override,+dac_read_search"
NPROC = re.compile(r"s3pp.*: .*no more (processes|threads) .*: raise ulimit -u.*")


def as_user_with(
    processes: int, *words: str, store: Store | None
) -> subprocess.CompletedProcess[str]:
    user = str(61_000 + os.getpid() % 1000)
    prefix = ["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups"]
    prefix += [f"--inh-caps={CAPABILITIES}", f"--ambient-caps={CAPABILITIES}"]
    prefix += ["prlimit", f"--nproc={processes}:{processes}"]
    env = clean_environment(store, {})
    if subprocess.run([*prefix[:-2], "true"], env=env, check=False).returncode:
        pytest.skip("no command can be run as another user here")
    return subprocess.run(
        [*prefix, *COMMAND, *words], env=env, capture_output=True, text=True, check=False
    )


@pytest.mark.skipif(
    os.geteuid() != 0 or not (shutil.which("setpriv") and shutil.which("prlimit")),
    reason="takes root, setpriv and prlimit",
)
@pytest.mark.parametrize("verb", ["put", "sandbox"])
def test_too_few_processes_or_threads_are_told_with_the_mend(
    moto_trial: PutTrial, verb: str
) -> None:
    """The supervisor's children, the walker's thread, then those of the putter; and a sandbox."""
    moto_trial.tree({"large": 7 << 20, "small": 10})
    words = ["put", "-P1", "--gzip", "--endpoint-url", moto_trial.proxy.url]
    words += [str(moto_trial.source), moto_trial.bucket.url]
    if verb == "sandbox":
        words = ["sandbox", "--", "true"]
    for processes in range(1, 16):
        store = moto_trial.bucket.store if verb == "put" else None
        end = as_user_with(processes, *words, store=store)
        if end.returncode == 0:
            break
        assert end.returncode in (2, 3, 126), end
        assert "Traceback" not in end.stderr
        (line,) = end.stderr.splitlines()
        assert NPROC.fullmatch(line), (processes, line)
    assert (end.returncode, end.stderr) == (0, "")
    assert processes > 2


def at_most(soft: int, hard: int | None = None) -> None:
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard or soft))
