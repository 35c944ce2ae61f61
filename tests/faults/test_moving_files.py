"""Files that change while they are sent. Rows 30-32 of the catalogue.

The proxy changes the file when the PUT's headers arrive: of 8 MiB the client has then read a
part. An object is one state of its file, whole, never a mixture of two.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from faults.accounting import check_all_done
from faults.changes import grow, rewrite, rewrite_and_backdate
from faults.trials import PutTrial
from stores.fault_actions import Call, Request
from stores.fault_proxy import Rule

LARGE = 8 << 20  # bytes, twice what the sockets' buffers hold
Change = Callable[[Path], None]


def shrink(path: Path) -> None:
    os.truncate(path, LARGE // 2)


def replace_by_rename(path: Path) -> None:
    new = path.parent.parent / "new"
    new.write_bytes(path.read_bytes()[::-1])
    new.rename(path)


CHANGES = [shrink, grow, rewrite, rewrite_and_backdate, replace_by_rename]


def changing(trial: PutTrial, change: Change, *, times: int) -> Rule:
    """A rule that changes the file ``large`` whenever its PUT arrives."""

    def callback(request: Request) -> None:
        change(trial.source / "large")

    return Rule(Call(callback), "PUT", "/large$", times=times)


def check_sent_again(trial: PutTrial, change: Change, mode: str) -> None:
    trial.tree({"large": LARGE, "other": 1000})
    trial.inject(changing(trial, change, times=1))
    end = trial.run(f"--mode={mode}", "--processes=1")
    check_all_done(end, trial.bucket, trial.contents())


@pytest.mark.parametrize("change", CHANGES)
def test_a_file_that_changes_once_is_sent_again(moto_trial: PutTrial, change: Change) -> None:
    # The store keeps the mixture: with If-None-Match it is in the way of the second attempt.
    check_sent_again(moto_trial, change, "add")


@pytest.mark.parametrize("change", [shrink, rewrite])
def test_what_a_store_that_checks_refused_is_sent_again(trial: PutTrial, change: Change) -> None:
    check_sent_again(trial, change, "update")


@pytest.mark.parametrize("change", [grow, rewrite])
def test_a_file_that_never_stops_changing_fails(trial: PutTrial, change: Change) -> None:
    contents = trial.tree({"large": LARGE, "other": 1000})
    trial.inject(changing(trial, change, times=0))
    end = trial.run()
    assert (end.code, end.kinds) == (1, {"large": "changed"})
    assert end.done.keys() == {"other"}
    assert trial.bucket.get("other") == contents["other"]
    assert trial.puts("large") <= 6


def test_a_file_changed_back_is_not_taken_for_what_was_there(moto_trial: PutTrial) -> None:
    # The store holds the old content until the first PUT, which moto keeps although it is a
    # mixture; then the file has its old content again.
    trial = moto_trial
    trial.tree({"large": LARGE})
    rewrite(trial.source / "large")
    trial.bucket.put("large", (trial.source / "large").read_bytes())
    rewrite(trial.source / "large")
    trial.inject(changing(trial, rewrite, times=1))
    end = trial.run("--mode=update")
    assert end.code == 0
    assert trial.bucket.tree() == trial.contents()


def behind_large(trial: PutTrial, change: Change) -> None:
    """A tree whose last file meets ``change`` while an earlier one is being sent."""
    files = {f"f{n:03d}": 1000 for n in range(50)}
    trial.tree({**files, "z": LARGE})

    def callback(request: Request) -> None:
        change(trial.source / "z")

    trial.inject(Rule(Call(callback), "PUT", "/f000$", times=1))


def become_directory(path: Path) -> None:
    path.unlink()
    path.mkdir()


def become_fifo(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


@pytest.mark.parametrize(
    ("change", "kinds"),
    [
        (Path.unlink, {"not-found"}),
        (become_directory, {"unreadable", "changed"}),
        (become_fifo, {"unreadable", "changed"}),
    ],
)
def test_a_file_gone_before_its_turn_fails_alone(
    moto_trial: PutTrial, change: Change, kinds: set[str]
) -> None:
    behind_large(moto_trial, change)
    end = moto_trial.run("--concurrency=1", "--processes=1")
    assert end.code == 1
    assert end.failed.keys() == {"z"}
    assert end.kinds["z"] in kinds
    assert len(end.done) == 50
    assert len(moto_trial.bucket.keys()) == 50
