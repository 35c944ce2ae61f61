from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from functools import cache
from typing import Any

import pytest
import uvloop
from botocore.loaders import JSONFileLoader


@pytest.fixture(autouse=True, scope="session")
def _models_are_read_once() -> Iterator[None]:
    """Each session of botocore reads its models anew, 0.1 s for each client of a test."""
    read, loader = JSONFileLoader.load_file, JSONFileLoader()
    once = cache(lambda path: read(loader, path))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(JSONFileLoader, "load_file", lambda _, path: once(path))
        yield


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(params=[asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
def run(request: pytest.FixtureRequest) -> Iterator[Callable[[Coroutine[Any, Any, None]], None]]:
    """Runs a coroutine on each kind of event loop."""
    loop = request.param()

    def until_complete(main: Coroutine[Any, Any, None]) -> None:
        loop.run_until_complete(asyncio.wait_for(main, 20))

    yield until_complete
    loop.run_until_complete(loop.shutdown_asyncgens())
    loop.close()
