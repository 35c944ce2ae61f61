"""Connections to peers: how they are made, kept, shared and given up, over TLS and without."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import ssl
import threading
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from s3pp.errors import FatalError
from s3pp.s3 import connections, http1, peers
from s3pp.s3.allowance import own_allowance
from s3pp.s3.exchange import Fault, Request, Response, WireError
from s3pp.s3.wire import Wire
from s3pp.speed import Speed
from s3pp.timetable import steady
from stores.certificates import Authority

from .loopback import Got, Loopback, loopback, ok, wire

Run = Callable[[Coroutine[Any, Any, None]], None]


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


class Discarding:
    """A sink that keeps nothing."""

    def restart(self) -> None: ...

    def write(self, piece: bytes | memoryview) -> None: ...


def get(server: Loopback, key: str = "k") -> Request:
    return Request("GET", f"{server.url}/{key}", "")


async def failure(awaited: Awaitable[Response]) -> WireError:
    with pytest.raises(WireError) as caught:
        await awaited
    return caught.value


def open_sockets() -> int:
    links = (os.path.join("/proc/self/fd", each) for each in os.listdir("/proc/self/fd"))
    return sum(os.path.islink(link) and "socket:" in os.readlink(link) for link in links)


async def closed(before: int) -> None:
    """Wait until no more sockets are open than ``before``."""
    for _ in range(500):
        if open_sockets() <= before:
            return
        await asyncio.sleep(0.01)
    raise AssertionError(f"{open_sockets()} sockets are open, where {before} were before")


# TLS


def test_tls_is_verified_and_a_session_resumed(authority: Authority, run: Run) -> None:
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        authority.context.maximum_version = version

        async def main() -> None:
            async with loopback(context=authority.context) as server:
                with wire(ca_bundle=str(authority.ca_bundle)) as sender:
                    body = bytes(range(256)) * 4096
                    for _ in range(2):
                        answer = await sender.send(Request("PUT", f"{server.url}/k", "", body))
                        assert (answer.status, answer.body) == (200, b"hi")
                        server.drop()
                        await asyncio.sleep(0.05)
                    assert [got.body for got in server.got] == [body, body]
                    assert server.resumed == [False, True]

        run(main())


def test_a_session_is_resumed_where_each_answer_is_the_last(authority: Authority, run: Run) -> None:
    async def answer(_got: Got) -> bytes:
        return b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"

    async def main() -> None:
        async with loopback(answer, context=authority.context) as server:
            with wire(ca_bundle=str(authority.ca_bundle)) as sender:
                for _ in range(3):
                    assert (await sender.send(get(server))).status == 200
            assert server.resumed == [False, True, True]

    run(main())


def test_a_large_answer_over_tls_is_received_whole(authority: Authority, run: Run) -> None:
    """Its records are longer than what one call receives: none may wait inside of OpenSSL."""
    body = bytes(range(256)) * 8192

    async def answer(_got: Got) -> bytes:
        return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)

    async def main() -> None:
        async with loopback(answer, context=authority.context) as server:
            with wire(ca_bundle=str(authority.ca_bundle)) as sender:
                for _ in range(3):
                    assert (await sender.send(get(server))).body == body
        assert server.connections == 1

    run(main())


def test_a_certificate_of_no_known_authority_is_refused(authority: Authority, run: Run) -> None:
    async def main() -> None:
        async with loopback(context=authority.context) as server:
            with wire() as sender:
                error = await failure(sender.send(get(server)))
            assert error.fault is Fault.UNTRUSTED
            with wire(verify=False, ca_bundle="/nowhere") as sender:
                assert (await sender.send(get(server))).status == 200

    run(main())


def test_a_bundle_that_cannot_be_used_is_named(tmp_path: Path, run: Run) -> None:
    empty = tmp_path / "empty.pem"
    empty.touch()

    async def main() -> None:
        for path in (str(empty), "/nowhere.pem"):
            with wire(ca_bundle=path) as sender:
                error = await failure(sender.send(Request("GET", "https://127.0.0.1:9/k", "")))
            assert error.fault is Fault.UNTRUSTED
            assert path in str(error)

    run(main())


def test_a_peer_that_does_not_speak_tls(run: Run) -> None:
    async def refuse(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    async def main() -> None:
        server = await asyncio.start_server(refuse, "127.0.0.1", 0)
        url = f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}/k"
        with wire(verify=False) as sender:
            error = await failure(sender.send(Request("GET", url, "")))
        server.close()
        assert error.fault is Fault.CONNECTION
        assert str(error).startswith("TLS: ")

    run(main())


@pytest.mark.parametrize("declared", [True, False])
def test_an_end_over_tls_counts_only_if_the_peer_declares_it(
    authority: Authority, run: Run, declared: bool
) -> None:
    """The end of the connection ends an answer without a length, and anybody can cut it."""

    async def main() -> None:
        with socket.create_server(("127.0.0.1", 0)) as listening:
            serving = threading.Thread(
                target=serve_once, args=(listening, authority.context, declared), daemon=True
            )
            serving.start()
            url = f"https://127.0.0.1:{listening.getsockname()[1]}/k"
            with wire(verify=False) as sender:
                sent = sender.send(Request("GET", url, ""))
                if declared:
                    assert (await sent).body == b"half"
                else:
                    assert (await failure(sent)).fault is Fault.PARTIAL
            await asyncio.get_running_loop().run_in_executor(None, serving.join)

    run(main())


def serve_once(listening: socket.socket, context: ssl.SSLContext, declared: bool) -> None:
    """Answer one request, and close with or without saying so."""
    raw, _ = listening.accept()
    with context.wrap_socket(raw, server_side=True) as sock:
        sock.recv(10_000)
        sock.sendall(b"HTTP/1.1 200 OK\r\n\r\nhalf")
        if declared:
            with suppress(OSError):  # the other side does not declare its end
                sock.unwrap()


# Names and addresses


def test_a_name_without_an_address(run: Run) -> None:
    async def main() -> None:
        with wire() as sender:
            for host in ("nowhere.invalid", "a..b", "x" * 64):
                error = await failure(sender.send(Request("GET", f"http://{host}/k", "")))
                assert (error.fault, str(error)) == (Fault.UNRESOLVED, "host not found")

    run(main())


@contextmanager
def resolving(monkeypatch: pytest.MonkeyPatch, *addresses: tuple[str, int]) -> Any:
    """The name store.example has these addresses; yields the number of lookups."""
    lookups = [0]
    original = socket.getaddrinfo

    def resolve(host: str, port: int, *rest: Any, **more: Any) -> Any:
        if host != "store.example" or more.get("flags"):
            return original(host, port, *rest, **more)
        lookups[0] += 1
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", each) for each in addresses]

    with monkeypatch.context() as patched:
        patched.setattr(socket, "getaddrinfo", resolve)
        yield lookups


NAMED = Request("GET", "http://store.example/k", "")


def address_of(server: Loopback) -> tuple[str, int]:
    host, _, port = server.url.removeprefix("http://").partition(":")
    return host, int(port)


def test_a_name_is_looked_up_once_by_many_and_again_later(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def main() -> None:
        async with loopback() as server:
            with resolving(monkeypatch, address_of(server)) as lookups, wire() as sender:
                await asyncio.gather(*(sender.send(NAMED) for _ in range(20)))
                assert lookups == [1]
                monkeypatch.setattr(peers, "NAMES_KEPT", 0.0)
                server.drop()
                await asyncio.sleep(0.05)
                await sender.send(NAMED)
                assert lookups == [2]

    run(main())


def test_the_next_address_is_used_where_one_refuses_or_breaks(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(_got: Got) -> bytes:
        return b""

    async def main() -> None:
        with closing(socket.socket()) as free:
            free.bind(("127.0.0.1", 0))  # bound, but nobody listens
            async with loopback(broken) as first, loopback() as second:
                places = free.getsockname(), address_of(first), address_of(second)
                with resolving(monkeypatch, *places), wire() as sender:
                    error = await failure(sender.send(NAMED))
                    assert error.fault is Fault.CUT
                    for _ in range(3):
                        assert (await sender.send(NAMED)).status == 200
                assert (first.connections, second.connections) == (1, 1)

    run(main())


def test_a_name_is_looked_up_again_when_no_address_of_it_answers(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def main() -> None:
        with closing(socket.socket()) as free:
            free.bind(("127.0.0.1", 0))
            with resolving(monkeypatch, free.getsockname()) as lookups, wire() as sender:
                for count in (1, 2):
                    error = await failure(sender.send(NAMED))
                    assert error.fault is Fault.CONNECTION
                    assert str(error) == "connection refused"
                    assert lookups == [count]

    run(main())


def test_too_few_descriptors_are_no_reason_to_look_a_name_up_again(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def none_left(*_: Any, **__: Any) -> None:
        raise OSError(errno.EMFILE, "Too many open files")

    async def main() -> None:
        monkeypatch.setattr(peers, "start_connection", none_left)
        with resolving(monkeypatch, ("127.0.0.1", 9)) as lookups, wire() as sender:
            for _ in range(2):
                error = await failure(sender.send(NAMED))
                assert (error.fault, str(error)) == (Fault.CONNECTION, "too many open files")
            assert lookups == [1]

    run(main())


def test_a_lookup_that_no_thread_can_make_ends_the_run(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_self: object) -> None:
        raise RuntimeError("can't start new thread")

    async def main() -> None:
        with wire() as sender, monkeypatch.context() as patched:
            patched.setattr(threading.Thread, "start", refuse)
            with pytest.raises(FatalError, match="no more threads"):
                await sender.send(NAMED)

    run(main())


@pytest.mark.skipif(not socket.has_ipv6, reason="takes IPv6")
def test_an_address_of_ipv6_is_reached(run: Run) -> None:
    async def main() -> None:
        try:
            listening = socket.create_server(("::1", 0), family=socket.AF_INET6)
        except OSError:
            pytest.skip("takes IPv6")
        served = Loopback()
        server = await asyncio.start_server(served.serve, sock=listening)
        host = f"[::1]:{listening.getsockname()[1]}"
        with wire() as sender:
            assert (await sender.send(Request("GET", f"http://{host}/k", ""))).status == 200
        assert served.got[0].header("host") == host
        server.close()
        served.drop()

    run(main())


# Giving up


def hang(monkeypatch: pytest.MonkeyPatch) -> None:
    async def never(*_: Any, **__: Any) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(peers, "start_connection", never)


def test_a_peer_that_does_not_answer_the_connection(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    hang(monkeypatch)

    async def main() -> None:
        with wire(connect_timeout=0.05) as sender:
            error = await failure(sender.send(Request("GET", "http://127.0.0.1:9/k", "")))
        assert (error.fault, str(error)) == (Fault.SILENT, "not connected after 0.05 s")

    run(main())


def test_a_peer_that_does_not_answer_the_handshake(run: Run) -> None:
    async def main() -> None:
        before = open_sockets()
        with socket.create_server(("127.0.0.1", 0)) as server:
            url = f"https://127.0.0.1:{server.getsockname()[1]}/k"
            with wire(connect_timeout=0.1, verify=False) as sender:
                error = await failure(sender.send(Request("GET", url, "")))
            assert error.fault is Fault.SILENT
        await closed(before)

    run(main())


def test_closing_ends_what_is_being_connected(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    hang(monkeypatch)

    async def main() -> None:
        with wire() as sender:
            early, late = (sender.send(Request("GET", "http://127.0.0.1:9/k", "")) for _ in "ab")
            await asyncio.sleep(0.01)
            very_late = sender.send(Request("GET", "http://127.0.0.1:9/k", ""))
        after = sender.send(Request("GET", "http://127.0.0.1:9/k", ""))
        for each in (early, late, very_late, after):
            error = await failure(each)
            assert (error.fault, str(error)) == (Fault.CUT, "the wire was closed")

    run(main())


@pytest.mark.parametrize("secured", [False, True])
def test_a_request_given_up_at_any_moment_leaves_nothing_open(
    secured: bool, authority: Authority, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "TICK", 0.01)

    async def main() -> None:
        async with loopback(context=authority.context if secured else None) as server:
            before = open_sockets()
            for steps in range(25):
                with wire(verify=False) as sender:
                    task = asyncio.ensure_future(sender.send(get(server)))
                    for _ in range(steps):
                        await asyncio.sleep(0)
                    task.cancel()
                    await asyncio.gather(task, return_exceptions=True)
                    assert (await sender.send(get(server))).body == b"hi"
            await closed(before)  # the server closes its ends too

    run(main())


def test_requests_given_up_while_others_are_answered_disturb_none_of_them(run: Run) -> None:
    async def answer(got: Got) -> bytes:
        name = got.line.split()[1].encode()
        return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(name), name)

    async def main() -> None:
        async with loopback(answer) as server:
            with wire() as sender:

                async def work(number: int) -> None:
                    for turn in range(40):
                        key = f"{number}-{turn}"
                        sent = asyncio.ensure_future(sender.send(get(server, key)))
                        if (number + turn) % 3 == 0:
                            for _ in range(turn % 7):
                                await asyncio.sleep(0)
                            sent.cancel()
                            await asyncio.gather(sent, return_exceptions=True)
                        else:
                            assert (await sent).body == f"/{key}".encode()

                await asyncio.gather(*(work(number) for number in range(8)))

    run(main())


def test_a_silent_peer_is_given_up_about_in_time(run: Run) -> None:
    async def answer(got: Got) -> bytes:
        if got.line.startswith("GET /silent"):
            await asyncio.Event().wait()
        return await ok(got)

    async def main() -> None:
        loop = asyncio.get_running_loop()
        async with loopback(answer) as server:
            with wire(read_timeout=1.0) as sender:
                await sender.send(get(server))
                begin = loop.time()
                error = await failure(sender.send(get(server, "silent")))
                assert error.fault is Fault.SILENT
                assert 0.9 <= loop.time() - begin < 5.0  # 1 to 2, on a machine that is not busy

    run(main())


def test_no_more_connections_are_kept_than_allowed_and_none_after_long(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "TICK", 0.01)
    monkeypatch.setattr(http1, "MOST_IDLE", 3.0)

    async def main() -> None:
        arrived = asyncio.Event()

        async def answer(got: Got) -> bytes:
            if len(server.got) == 5:
                arrived.set()
            await arrived.wait()
            return await ok(got)

        async with loopback(answer) as server:
            before = open_sockets()
            with wire(connections=2) as sender:
                await asyncio.gather(*(sender.send(get(server)) for _ in range(5)))
                await closed(before)
                assert (await sender.send(get(server))).status == 200

    run(main())


def test_libcurl_is_loaded_for_proxies_only(run: Run) -> None:
    async def main() -> None:
        async with loopback() as server:
            with wire() as sender:
                await sender.send(get(server))
                await sender.send(get(server)._replace(sink=Discarding()))
                assert isinstance(sender, Wire)
                assert sender._curl is None

    run(main())


@pytest.mark.parametrize("secured", [False, True])
def test_bodies_at_a_pace_arrive_whole(secured: bool, authority: Authority, run: Run) -> None:
    """Over TLS too, where a record may be longer than what may be received of it."""
    body = bytes(range(256)) * 400

    async def answer(got: Got) -> bytes:
        assert got.body == (body if got.line.startswith("PUT") else b"")
        return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)

    async def main() -> None:
        async with loopback(answer, context=authority.context if secured else None) as server:
            with wire(verify=False) as sender:
                allowance = own_allowance(Speed(max_bandwidth=steady(1_000_000)))
                assert allowance is not None
                for method, content in (("PUT", body), ("GET", None)) * 2:
                    reads = method == "GET"
                    passage = await allowance.admit(content, size=len(body), reads=reads)
                    request = Request(method, f"{server.url}/k", "", content)
                    assert (await passage.send(sender, request)).body == body
                    assert not allowance.is_pacing()

    run(main())
