"""The sandbox: what it leads clients to, and that it never outlives anybody."""

from __future__ import annotations

import http.client
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from signal import Signals

import pytest

from s3pp.cli.sandbox import exports
from s3pp.errors import UsageError
from s3pp.sandbox import Sandbox, wait_for

ROOT = Path(__file__).parents[3]
# Without any signature moto serves public objects only; it looks no closer.
SIGNED = {
    "Authorization": "AWS4-HMAC-SHA256 Credential=k/20260101/us-east-1/s3/aws4_request,"
    " SignedHeaders=host, Signature=x"
}


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox() as running:
        running.create_bucket("demo")
        yield running


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def ends_listening(port: int, seconds: float = 10.0) -> bool:
    deadline = time.monotonic() + seconds
    while listens(port) and time.monotonic() < deadline:
        time.sleep(0.02)
    return not listens(port)


def request(
    sandbox: Sandbox, method: str, path: str, body: bytes = b"", **headers: str
) -> tuple[int, bytes, dict[str, str]]:
    connection = http.client.HTTPConnection("127.0.0.1", sandbox.port, timeout=20)
    connection.request(method, path, body, SIGNED | headers)
    response = connection.getresponse()
    answer = response.status, response.read(), dict(response.getheaders())
    connection.close()
    return answer


def test_objects_come_back(sandbox: Sandbox) -> None:
    assert request(sandbox, "PUT", "/demo/a%20b//c", b"hello")[0] == 200
    assert request(sandbox, "GET", "/demo/a%20b//c")[:2] == (200, b"hello")
    status, body, headers = request(sandbox, "HEAD", "/demo/a%20b//c")
    assert (status, body, headers["Content-Length"]) == (200, b"", "5")
    assert request(sandbox, "DELETE", "/demo/a%20b//c")[0] == 204
    assert request(sandbox, "GET", "/demo/a%20b//c")[0] == 404


def test_metadata_with_underscores_is_kept(sandbox: Sandbox) -> None:
    request(sandbox, "PUT", "/demo/meta", b"", **{"x-amz-meta-a_b": "1"})
    assert request(sandbox, "HEAD", "/demo/meta")[2]["x-amz-meta-a_b"] == "1"


def test_connections_are_kept_and_in_step(sandbox: Sandbox) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", sandbox.port, timeout=20)
    sockets = set()
    for method, path, body in [
        ("PUT", "/demo/1", b"x" * 100_000),
        ("GET", "/demo/nothing", b""),
        ("HEAD", "/demo/1", b""),
        ("PUT", "/no-bucket/1", b"y" * 1000),
        ("GET", "/demo/1", b""),
    ]:
        connection.request(method, path, body, SIGNED)
        response = connection.getresponse()
        last = response.read()
        sockets.add(id(connection.sock))
    assert len(sockets) == 1
    assert last == b"x" * 100_000


def test_half_an_object_is_no_object(sandbox: Sandbox) -> None:
    with socket.create_connection(("127.0.0.1", sandbox.port)) as client:
        client.sendall(b"PUT /demo/half HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nhalf")
    time.sleep(0.2)
    assert request(sandbox, "GET", "/demo/half")[0] == 404


def test_it_cannot_be_reached_from_elsewhere(sandbox: Sandbox) -> None:
    listening = Path("/proc/net/tcp").read_text().splitlines()[1:]
    port = f":{sandbox.port:04X}"
    addresses = {line.split()[1] for line in listening if line.split()[1].endswith(port)}
    assert addresses
    assert {address.partition(":")[0] for address in addresses} == {"0100007F"}


def test_a_bucket_the_server_refuses(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("s3pp.sandbox._NEW_BUCKET", re.compile(".*"))
    with pytest.raises(UsageError, match=r"'ab'.*not valid"):
        sandbox.create_bucket("ab")


def test_the_environment_leads_there_and_nowhere_else(sandbox: Sandbox) -> None:
    environ = {"AWS_PROFILE": "mine", "AWS_SESSION_TOKEN": "t", "HOME": "/h", "AWS_REGION": "x"}
    before = dict(environ)
    with sandbox.export_to(environ):
        assert "AWS_PROFILE" not in environ
        assert "AWS_SESSION_TOKEN" not in environ
        assert environ["HOME"] == "/h"
        assert environ["AWS_ENDPOINT_URL"] == environ["AWS_ENDPOINT_URL_S3"] == sandbox.url
        assert environ["AWS_REGION"] == environ["AWS_DEFAULT_REGION"] == "us-east-1"
        assert environ["AWS_ACCESS_KEY_ID"]
        assert environ["AWS_SECRET_ACCESS_KEY"]
        assert not os.path.getsize(environ["AWS_CONFIG_FILE"])
    assert environ == before


def test_proxies_are_passed_by(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.setenv("NO_PROXY", "example.org")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    environment = sandbox.environment()
    assert environment["no_proxy"] == environment["NO_PROXY"] == "example.org,127.0.0.1"
    sandbox.create_bucket("past-the-proxy")


def test_export_lines_are_shell(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_PROFILE", "mine")
    script = exports(sandbox) + 'echo "$AWS_ENDPOINT_URL ${AWS_PROFILE-unset}"'
    told = subprocess.run(["sh", "-ec", script], capture_output=True, text=True, check=True)
    assert told.stdout == f"{sandbox.url} unset\n"


def test_a_port_that_is_taken(sandbox: Sandbox) -> None:
    with (
        pytest.raises(UsageError, match=rf"port {sandbox.port} is in use: choose another"),
        Sandbox(sandbox.port),
    ):
        pass


def test_moto_is_named_where_it_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(UsageError, match=r"pip install 's3pp\[sandbox\]'"), Sandbox():
        pass


def test_it_ends_with_its_context() -> None:
    with Sandbox() as sandbox:
        assert listens(sandbox.port)
    assert not listens(sandbox.port)


def test_it_ignores_ctrl_c_and_its_group() -> None:
    """A terminal's Ctrl-C reaches the whole group; requests in flight still need the server."""
    with Sandbox() as sandbox:
        server = sandbox._server
        assert server is not None
        pid = server.pid
        assert os.getsid(pid) != os.getsid(0)
        os.kill(pid, signal.SIGINT)
        time.sleep(0.2)
        assert request(sandbox, "GET", "/")[0] == 200


HOLD = """
import os, sys, time
from s3pp.sandbox import Sandbox, wait_for
with Sandbox() as sandbox:
    if "fork" in sys.argv and not os.fork():
        time.sleep(30)
        os._exit(0)
    print(sandbox.port, flush=True)
    time.sleep(30)
"""


@pytest.mark.parametrize("how", ["alone", "fork"])
def test_kill_9_of_the_parent_ends_it(how: str) -> None:
    """With "fork" a child holds the pipe's end as well, as a worker of a run does."""
    parent = subprocess.Popen(
        [sys.executable, "-c", HOLD, how],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert parent.stdout is not None
    port = int(parent.stdout.readline())
    assert listens(port)
    parent.kill()
    parent.wait()
    try:
        assert ends_listening(port)
    finally:
        if how == "fork":
            os.killpg(parent.pid, signal.SIGKILL)
        parent.stdout.close()


def start(*words: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "s3pp", "sandbox", *words],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


@pytest.mark.parametrize(
    ("number", "code"),
    [
        (signal.SIGINT, 0),
        (signal.SIGTERM, 143),
        pytest.param(signal.SIGHUP, 129, marks=pytest.mark.thorough),
    ],
)
def test_it_stays_until_it_is_told(number: Signals, code: int) -> None:
    running = start()
    assert running.stdout is not None
    port = next(
        int(line.rpartition(":")[2])
        for line in running.stdout
        if line.startswith("export AWS_ENDPOINT_URL=")
    )
    assert listens(port)
    os.killpg(running.pid, number)
    _, err = running.communicate(timeout=20)
    assert running.returncode == code
    assert "Traceback" not in err
    assert ends_listening(port)


@pytest.mark.parametrize(
    ("command", "code"),
    [
        (["sh", "-c", "exit 7"], 7),
        (["sh", "-c", "kill -9 $$"], 137),
        (["no-such-command"], 127),
        pytest.param(["true"], 0, marks=pytest.mark.thorough),
        pytest.param(["sh", "-c", "kill -INT $$"], 130, marks=pytest.mark.thorough),
        pytest.param(["/etc/passwd"], 126, marks=pytest.mark.thorough),
    ],
)
def test_one_command(command: list[str], code: int) -> None:
    running = start("--", *command)
    out, err = running.communicate(timeout=30)
    assert running.returncode == code
    assert out == ""
    assert err.count("\n") == (code in (126, 127))


def test_ctrl_c_is_the_commands_to_answer() -> None:
    script = "trap 'echo caught; exit 5' INT; echo ready; while :; do sleep 0.05; done"
    running = start("--", "sh", "-c", script)
    assert running.stdout is not None
    assert running.stdout.readline() == "ready\n"
    os.killpg(running.pid, signal.SIGINT)
    out, _ = running.communicate(timeout=20)
    assert (running.returncode, out) == (5, "caught\n")


def test_a_term_ends_the_command_too() -> None:
    running = start("--", "sh", "-c", "echo $$; exec sleep 30")
    assert running.stdout is not None
    pid = int(running.stdout.readline())
    running.terminate()
    running.communicate(timeout=20)
    assert running.returncode == 143
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_a_signal_that_interrupts_no_system_call_is_handled() -> None:
    """As one is that comes just before the wait: here it is another thread that it reaches."""
    handled, in_time = threading.Event(), list[bool]()
    before = signal.signal(signal.SIGUSR1, lambda *_: handled.set())
    command = subprocess.Popen(["sh", "-c", "read line"], stdin=subprocess.PIPE)

    def release() -> None:
        time.sleep(0.1)  # without it a wait that has no bound would seldom be begun yet
        signal.pthread_kill(threading.get_ident(), signal.SIGUSR1)
        in_time.append(handled.wait(20))
        assert command.stdin is not None
        command.stdin.close()

    try:
        thread = threading.Thread(target=release)
        thread.start()
        assert wait_for(command) == 1
        thread.join()
        assert in_time == [True]
    finally:
        signal.signal(signal.SIGUSR1, before)


@pytest.mark.parametrize("name", ["", "A_B", "ab", "a..b", "-ab", "ab.", "a/b", "x" * 64, "ab\n"])
def test_a_bucket_that_s3_would_not_create(name: str) -> None:
    with pytest.raises(UsageError, match=r"cannot be created in the sandbox: a name has 3 to 63"):
        Sandbox().create_bucket(name)
