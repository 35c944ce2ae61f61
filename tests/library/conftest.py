"""What tests of the library share: how to reach the store, and scripts that call it."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from commands import Running, Start, title
from stores.store import Store

Script = Callable[..., Running]


def descendants(ancestor: int) -> set[int]:
    """The living processes that a process has started, and those that these have started."""
    parents: dict[int, int] = {}
    for pid in map(int, filter(str.isdigit, os.listdir("/proc"))):
        with suppress(OSError):
            state, parent = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[:2]
            parents[pid] = int(parent) if state not in "ZX" else 0
    found = {ancestor}
    while new := {pid for pid, parent in parents.items() if parent in found} - found:
        found |= new
    return found - {ancestor}


def wait_until_gone(pids: set[int], seconds: float = 20.0) -> None:
    """Wait until these processes have ended."""
    deadline = time.monotonic() + seconds
    while left := {pid for pid in pids if title(pid)}:
        assert time.monotonic() < deadline, f"still there: {[title(pid) for pid in left]}"
        time.sleep(0.02)


def reached(store: Store) -> dict[str, Any]:
    """The keywords that reach a store."""
    keys = (store.access_key, store.secret_key)
    return {"endpoint_url": store.url, "credentials": keys, "processes": 2}


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of the tester's own settings; commands get the same from ``commands``."""
    for name in [each for each in os.environ if each.startswith("AWS_")]:
        monkeypatch.delenv(name)
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, "/nonexistent")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


@pytest.fixture
def script(s3pp_start: Start, tmp_path: Path) -> Script:
    """``script(text, store=…)``: a program without a guard for ``__main__``, started.

    It has ``s3pp``, and ``keywords`` that reach the store.
    """

    def begin(text: str, *, store: Store, **settings: Any) -> Running:
        path = tmp_path / "script.py"
        path.write_text(f"import s3pp\nkeywords = {reached(store)!r}\n{text}")
        return s3pp_start(store=store, command=(sys.executable, str(path)), **settings)

    return begin
