"""The bridge: the process with the Dask client, between the supervisor and all Dask workers.

It is a program of its own, so that no other process of a run has the modules and threads of Dask.
What goes through ``control``, in both directions:

=========  ============================================================  ==========================
event      content                                                       descriptors
=========  ============================================================  ==========================
begin      address, security, probes                                     to it, first
open       worker (address), process, name, directory: start one         its ``Ends``
kill       process
examine    worker, program, request, seconds: let it answer
joined     worker, host, threads: it can be used                         from it
refused    worker, why: it cannot
left       worker
examined   worker, answer, round_trip (seconds), is_direct; or why not
ready      all that were there have been looked at
fatal      why: it ends
=========  ============================================================  ==========================

It ends when the control channel does: processes that run are then told to clean up and end.
"""

from __future__ import annotations

import asyncio
import logging
import signal
import socket
import sys
import time
from collections.abc import Awaitable, Coroutine
from contextlib import AsyncExitStack, suppress
from functools import partial
from statistics import median
from typing import Any, cast

import dask
from distributed import Client, LocalCluster, Security
from distributed.actor import ProxyRPC

from s3pp.errors import FatalError
from s3pp.pipeline.child import set_title
from s3pp.pipeline.cluster.channel import Channel, Ends, describe_error
from s3pp.pipeline.cluster.control import Control, ControlMessage
from s3pp.pipeline.cluster.dask_worker import WorkerFacts, describe, run_program, serve, task_key
from s3pp.pipeline.cluster.descriptors import raise_limit

LOOK = 1.0  # seconds between two looks at the scheduler, for each ``LOOKED`` workers
LOOKED = 200
ANSWER = 30.0  # seconds for which the scheduler, or a Dask worker, may not answer
REACHED = 3.0  # seconds to reach a Dask worker directly; else it is called through the scheduler
TRIPS = 9  # calls of which the median is taken
LEAVING = 5.0  # seconds that processes may take to clean up at the end
CONNECTIONS = 100_000  # of the client, to Dask workers: two for each process


def main() -> None:
    """Run the bridge; the argument is the descriptor of its end of the control channel."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    set_title("s3pp: dask")
    logging.getLogger("distributed").setLevel(logging.CRITICAL + 1)
    raise_limit()
    control = Control(socket.socket(fileno=int(sys.argv[1])))
    begin = _receive_first(control)
    try:
        asyncio.run(_serve(control, begin.content))
    except FatalError as error:
        control.send("fatal", why=str(error))
    except Exception as error:
        control.send("fatal", why=describe_error(error))


def _receive_first(control: Control) -> ControlMessage:
    """Return the first message, which may be long, as of many sources."""
    while not control.closed:
        for message in control.receive():
            return message
    raise SystemExit(1)


async def _serve(control: Control, begin: dict[str, Any]) -> None:
    await Bridge(control, begin).run()


class Workers:
    """The operations of one Dask worker, called directly where it can be reached."""

    def __init__(self, rpc: Any, *, is_direct: bool = True) -> None:
        self._rpc = rpc
        self.is_direct = is_direct

    @classmethod
    async def reach(cls, client: Client, address: str, identity: str) -> Workers:
        """Find the way to the Dask worker; ``identity`` as of ``WorkerFacts``."""
        direct: Any = client.rpc(address)
        with suppress(OSError, asyncio.TimeoutError, TimeoutError):
            found = await asyncio.wait_for(direct.identity(), REACHED)
            if found["id"] == identity:
                return cls(direct)
        return cls(ProxyRPC(client.scheduler, address), is_direct=False)  # type: ignore[no-untyped-call]

    async def call(self, operation: str, **arguments: Any) -> Any:
        """Call an operation. Raises ``OSError``, or what the Dask worker has raised."""
        return await getattr(self._rpc, operation)(**arguments)

    async def round_trip(self) -> float:
        """Return the median of the seconds that a call takes."""
        times = []
        for _ in range(TRIPS):
            called = time.monotonic()
            await self.call("identity")
            times.append(time.monotonic() - called)
        return median(times)


class Bridge:
    """Connects the supervisor with the Dask workers."""

    def __init__(self, control: Control, begin: dict[str, Any]) -> None:
        self._control = control
        self._begin = begin
        self._ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._looked: set[str] = set()  # addresses of Dask workers, used or refused
        self._ways: dict[str, Workers] = {}  # by address, of those that can be used
        self._channels: dict[str, tuple[str, Channel]] = {}  # by process, with the address
        self._running: set[asyncio.Task[None]] = set()
        self._to_tell: asyncio.Queue[tuple[str, dict[str, Any]]] = asyncio.Queue()
        self._beside: set[asyncio.Task[None]] = set()  # that are not waited for
        self._client: Client

    async def run(self) -> None:
        """Serve the supervisor until it closes the control channel, or the scheduler is lost."""
        async with AsyncExitStack() as stack:
            self._client = await self._connect(stack)
            asyncio.get_running_loop().add_reader(self._control.fileno(), self._on_control)
            self._start(self._tell_all())
            watch = asyncio.ensure_future(self._watch())
            await asyncio.wait({watch, self._ended}, return_when=asyncio.FIRST_COMPLETED)
            lost = watch.exception() if watch.done() else None
            watch.cancel()
            await self._leave()
            if lost is not None:
                raise lost

    async def _connect(self, stack: AsyncExitStack) -> Client:
        """Connect to the scheduler, or start one here."""
        address: Any = self._begin["address"]
        security = _security(self._begin["security"], address)
        if (workers := self._begin["local_workers"]) is not None:
            local = LocalCluster(  # type: ignore[no-untyped-call]
                n_workers=workers or None,
                threads_per_worker=1,
                host="127.0.0.1",
                dashboard_address=None,
                security=True,  # keys and certificates of its own: others on this machine have none
                asynchronous=True,
            )
            cluster = await stack.enter_async_context(local)
            address, security = cluster.scheduler_address, cluster.security
        client = Client(  # type: ignore[no-untyped-call]
            address,
            security=security,
            asynchronous=True,
            set_as_default=False,
            name="s3pp",
            connection_limit=CONNECTIONS,
        )
        try:
            connected: Client = await stack.enter_async_context(client)
        except OSError:
            why = "no Dask scheduler answers: see that it runs, and at this address"
            raise FatalError(why) from None
        return connected

    def _tell(self, event: str, **content: Any) -> None:
        self._to_tell.put_nowait((event, content))

    async def _tell_all(self) -> None:
        """Send what there is to tell, in order; the loop does not wait for the supervisor."""
        while True:
            event, content = await self._to_tell.get()
            await asyncio.to_thread(partial(self._control.send, event, **content))

    # What the supervisor asks for

    def _on_control(self) -> None:
        for message in self._control.receive():
            if message.event == "open":
                self._open(message)
            elif message.event == "examine":
                self._start(self._examine(message.content))
            elif message.event == "kill" and (found := self._channels.get(_process(message))):
                found[1].lose("was killed")
        if self._control.closed and not self._ended.done():
            self._ended.set_result(None)

    def _start(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.ensure_future(work)
        self._beside.add(task)
        task.add_done_callback(self._beside.discard)
        return task

    async def _examine(self, content: dict[str, Any]) -> None:
        """Have a program answer a request on a Dask worker, and measure the way there."""
        address, seconds = content["worker"], content["seconds"]
        request = (run_program, content["program"], content["request"], seconds)
        try:
            way = self._ways[address]
            asked = self._client.run(*request, workers=[address])
            answers = await asyncio.wait_for(asked, seconds + ANSWER)
            trip = await asyncio.wait_for(way.round_trip(), ANSWER)
            found = {"answer": answers[address], "round_trip": trip, "is_direct": way.is_direct}
        except (asyncio.TimeoutError, TimeoutError):
            found = {"why": f"it did not answer within {seconds + ANSWER:g} s"}
        except Exception as error:
            found = {"why": describe_error(error)}
        self._tell("examined", worker=address, **found)

    def _open(self, message: ControlMessage) -> None:
        content, process = message.content, _process(message)
        address = content["worker"]
        way = self._ways.get(address) or Workers(self._client.rpc(address))
        channel = Channel(process, Ends(*message.descriptors), way)
        self._channels[process] = (address, channel)
        if address not in self._ways:
            channel.lose("is lost: its Dask worker is gone")
        task = self._client.submit(
            serve,
            *(process, content["name"], content["directory"]),
            workers=[address],
            pure=False,
            key=task_key(process),
        )
        running = asyncio.ensure_future(channel.run(task))
        self._running.add(running)
        running.add_done_callback(lambda _: self._forget(process, running))

    def _forget(self, process: str, running: asyncio.Task[None]) -> None:
        self._running.discard(running)
        del self._channels[process]

    async def _leave(self) -> None:
        """Wait until the processes have ended, whose pipes the supervisor has closed."""
        if self._running:
            await asyncio.wait(self._running, timeout=LEAVING)
        for _, channel in self._channels.values():
            channel.lose("was killed")
        if self._running:
            await asyncio.wait(self._running, timeout=LEAVING)

    # The scheduler

    async def _watch(self) -> None:
        """Look at the workers of the scheduler again and again. Raises where it is lost."""
        first, scheduler = True, cast(Any, self._client.scheduler)
        while True:
            identity = await self._ask(scheduler.identity())
            present = set(identity["workers"])
            for address in self._looked - present:
                self._on_left(address)
            looks = [self._start(self._look(each)) for each in present - self._looked]
            if first:  # later ones are not waited for, so that a loss is noticed meanwhile
                await asyncio.gather(*looks)
                self._tell("ready")
            first = False
            await asyncio.sleep(LOOK * max(1.0, len(present) / LOOKED))

    async def _ask(self, question: Awaitable[Any]) -> Any:
        """Return the answer of the scheduler. Raises where it is gone, or does not answer."""
        asked = asyncio.ensure_future(question)
        until = time.monotonic() + ANSWER
        while not asked.done() and time.monotonic() < until:
            await asyncio.wait({asked}, timeout=LOOK)
            if self._client.status != "running":  # it would try to connect for half a minute
                asked.cancel()
                raise FatalError("it has closed the connection")
        if not asked.done():
            asked.cancel()
            raise FatalError(f"it has not answered for {ANSWER:g} s")
        return asked.result()

    def _on_left(self, address: str) -> None:
        self._looked.discard(address)
        if self._ways.pop(address, None) is not None:
            self._tell("left", worker=address)
        for where, channel in self._channels.values():
            if where == address:
                channel.lose("is lost: its Dask worker is gone")

    async def _look(self, address: str) -> None:
        """Find out whether a Dask worker can be used, and how it is reached."""
        self._looked.add(address)
        try:
            facts = await asyncio.wait_for(self._describe(address), ANSWER)
            way = await Workers.reach(self._client, address, facts.identity)
            if address in self._looked:  # else it has left meanwhile
                self._ways[address] = way
                self._tell("joined", worker=address, **facts._asdict())
        except (asyncio.TimeoutError, TimeoutError):
            why = f"it did not answer within {ANSWER:g} s"
            self._tell("refused", worker=address, why=why)
        except Exception as error:
            self._tell("refused", worker=address, why=describe_error(error))

    async def _describe(self, address: str) -> WorkerFacts:
        facts = await self._client.run(describe, self._begin["probes"], workers=[address])
        return WorkerFacts(*facts[address])


def _process(message: ControlMessage) -> str:
    process: str = message.content["process"]
    return process


def _security(path: str | None, address: str) -> Any:
    """Return the TLS settings of a file of Dask's configuration, or of its usual ones.

    Raises ``FatalError`` where there are none for a ``tls://`` address.
    """
    if path is not None:
        dask.config.update(dask.config.config, dask.config.merge(*dask.config.collect_yaml([path])))
    security: Any = Security()  # type: ignore[no-untyped-call]
    if address.startswith("tls://"):
        _check_certificates(security)
    return security


def _check_certificates(security: Any) -> None:
    keys = "distributed.comm.tls (ca-file, client.cert, client.key)"
    try:
        settings = security.get_connection_args("client")
    except OSError as error:  # of TLS too
        why = error.strerror or error
        raise FatalError(f"the files of {keys} cannot be used: {why}") from None
    if settings.get("ssl_context") is None:
        raise FatalError(f"tls:// needs certificates, {keys}: name a file with --dask-security")


if __name__ == "__main__":
    main()
