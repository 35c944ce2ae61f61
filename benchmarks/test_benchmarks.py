"""The harness must be one that can be trusted: ``python -m pytest benchmarks``."""

from __future__ import annotations

import base64
import hashlib
import os
import re
import shutil
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import IO

import boto3
import pytest
from botocore.client import BaseClient
from botocore.config import Config
from botocore.exceptions import ClientError
from hypothesis import given
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parent))

import bench
import invocations
import tools
from data import Load, large, make, names, tree
from loopback import preload
from loopback.framing import Digest, frame
from loopback.listing import Query, page
from loopback.request import Request
from measure import Measured, ProcessTimes, TimedOut, measure
from rounds import Failed, Run, interleave
from serving import Counts, Peer, serving
from suite import page as pages
from suite.get import fault
from suite.large_put import check, etag
from suite.setting import Setting
from suite.table import Table, join
from tools import Endpoint, Tool

CRC = "AAAAAAAAAAA="  # of no matter what: the peer does not compute it
KEYS = st.lists(st.text("a/é-\U0001f600", min_size=1, max_size=5), unique=True, max_size=30)


@pytest.fixture(scope="module", params=["http", "https"])
def peer(request: pytest.FixtureRequest) -> Iterator[Peer]:
    with serving(https=request.param == "https", store=True) as running:
        yield running


@pytest.fixture
def s3(peer: Peer) -> BaseClient:
    peer.clear()
    return client(peer.endpoint)


def client(endpoint: Endpoint) -> BaseClient:
    return boto3.client(
        "s3",
        endpoint_url=endpoint.url,
        verify=str(endpoint.authority) if endpoint.authority else None,
        region_name="us-east-1",
        aws_access_key_id="bench",
        aws_secret_access_key="benchbench",
        config=Config(s3={"addressing_style": "path"}, retries={"total_max_attempts": 1}),
    )


def whole(number: int, size: int) -> bytes:
    """The body of a preloaded object."""
    return b"".join(preload.body(number, size, 0, size))


def code(error: pytest.ExceptionInfo[ClientError]) -> str:
    return str(error.value.response["Error"]["Code"])


@pytest.mark.parametrize("size", [0, 1, 4096, 70_000, 3_000_001])
def test_object_comes_back_as_it_was_put(s3: BaseClient, size: int) -> None:
    body = os.urandom(size)
    put = s3.put_object(Bucket="bench", Key="a b/é+%.txt", Body=body)
    got = s3.get_object(Bucket="bench", Key="a b/é+%.txt")
    assert got["Body"].read() == body
    assert put["ETag"] == got["ETag"] == f'"{hashlib.md5(body).hexdigest()}"'
    head = s3.head_object(Bucket="bench", Key="a b/é+%.txt")
    assert (head["ContentLength"], head["LastModified"]) == (size, got["LastModified"])


def test_range(s3: BaseClient) -> None:
    s3.put_object(Bucket="bench", Key="k", Body=bytes(range(200)))
    for asked, wanted in (
        ("3-9", range(3, 10)),
        ("190-", range(190, 200)),
        ("-2", range(198, 200)),
    ):
        got = s3.get_object(Bucket="bench", Key="k", Range=f"bytes={asked}")
        assert got["Body"].read() == bytes(wanted)
        assert got["ContentRange"] == f"bytes {wanted[0]}-{wanted[-1]}/200"
    with pytest.raises(ClientError) as error:
        s3.get_object(Bucket="bench", Key="k", Range="bytes=200-")
    assert code(error) == "InvalidRange"


def test_conditions_and_digests_are_checked(s3: BaseClient) -> None:
    s3.put_object(Bucket="bench", Key="k", Body=b"1", IfNoneMatch="*")
    with pytest.raises(ClientError) as error:
        s3.put_object(Bucket="bench", Key="k", Body=b"2", IfNoneMatch="*")
    assert code(error) == "PreconditionFailed"
    with pytest.raises(ClientError) as error:
        s3.get_object(Bucket="bench", Key="k", IfMatch='"other"')
    assert code(error) == "PreconditionFailed"
    wrong = base64.b64encode(hashlib.md5(b"3").digest()).decode()
    with pytest.raises(ClientError) as error:
        s3.put_object(Bucket="bench", Key="k", Body=b"4", ContentMD5=wrong)
    assert code(error) == "BadDigest"
    assert s3.get_object(Bucket="bench", Key="k")["Body"].read() == b"1"


def test_what_is_not_there(s3: BaseClient) -> None:
    with pytest.raises(ClientError) as error:
        s3.get_object(Bucket="bench", Key="k")
    assert code(error) == "NoSuchKey"
    with pytest.raises(ClientError) as error:
        s3.put_object(Bucket="nowhere", Key="k", Body=b"")
    assert code(error) == "NoSuchBucket"
    with pytest.raises(ClientError) as error:
        s3.head_object(Bucket="bench", Key="k")
    assert code(error) == "404"


def test_copy_carries_the_etag_and_pins_the_source(s3: BaseClient) -> None:
    etag = s3.put_object(Bucket="bench", Key="a é", Body=b"body")["ETag"]
    source = {"Bucket": "bench", "Key": "a é"}
    copied = s3.copy_object(Bucket="bench", Key="b", CopySource=source, CopySourceIfMatch=etag)
    assert copied["CopyObjectResult"]["ETag"] == etag
    assert s3.get_object(Bucket="bench", Key="b")["Body"].read() == b"body"
    with pytest.raises(ClientError) as error:
        s3.copy_object(Bucket="bench", Key="c", CopySource=source, CopySourceIfMatch='"other"')
    assert code(error) == "PreconditionFailed"


def test_multipart(s3: BaseClient) -> None:
    bodies = [b"a" * 5_000_000, b"b" * 100]
    upload = s3.create_multipart_upload(Bucket="bench", Key="k")["UploadId"]
    name = {"Bucket": "bench", "Key": "k", "UploadId": upload}
    etags = [s3.upload_part(**name, PartNumber=n, Body=b)["ETag"] for n, b in enumerate(bodies, 1)]
    assert [part["ETag"] for part in s3.list_parts(**name)["Parts"]] == etags
    assert s3.list_multipart_uploads(Bucket="bench")["Uploads"][0]["UploadId"] == upload
    parts = [{"PartNumber": n, "ETag": etag} for n, etag in enumerate(etags, 1)]
    done = s3.complete_multipart_upload(**name, MultipartUpload={"Parts": parts})
    whole = hashlib.md5(b"".join(hashlib.md5(body).digest() for body in bodies)).hexdigest()
    assert done["ETag"] == f'"{whole}-2"'
    assert s3.get_object(Bucket="bench", Key="k")["Body"].read() == b"".join(bodies)
    with pytest.raises(ClientError) as error:
        s3.abort_multipart_upload(**name)
    assert code(error) == "NoSuchUpload"


def test_parts_are_checked_and_their_checksums_told(s3: BaseClient) -> None:
    upload = s3.create_multipart_upload(Bucket="bench", Key="k")["UploadId"]
    name = {"Bucket": "bench", "Key": "k", "UploadId": upload}
    with pytest.raises(ClientError) as error:
        s3.upload_part(**name, PartNumber=1, Body=b"4", ContentMD5=_md5_of(b"3"))
    assert code(error) == "BadDigest"
    sent = s3.upload_part(**name, PartNumber=1, Body=b"4", ChecksumCRC64NVME=CRC)
    assert sent["ChecksumCRC64NVME"] == CRC
    (part,) = s3.list_parts(**name)["Parts"]
    assert (part["ChecksumCRC64NVME"], part["ETag"], part["Size"]) == (CRC, sent["ETag"], 1)
    parts = {"Parts": [{"PartNumber": 1, "ETag": sent["ETag"]}]}
    done = s3.complete_multipart_upload(**name, MultipartUpload=parts, ChecksumCRC64NVME=CRC)
    assert done["ChecksumCRC64NVME"] == CRC
    head = s3.head_object(Bucket="bench", Key="k", ChecksumMode="ENABLED")
    assert (head["ChecksumCRC64NVME"], head["ChecksumType"]) == (CRC, "FULL_OBJECT")


def _md5_of(body: bytes) -> str:
    return base64.b64encode(hashlib.md5(body).digest()).decode()


def test_a_peer_that_trusts_takes_the_md5_from_the_header() -> None:
    with serving(trust=True) as running:
        s3 = client(running.endpoint)
        upload = s3.create_multipart_upload(Bucket="bench", Key="k")["UploadId"]
        name = {"Bucket": "bench", "Key": "k", "UploadId": upload}
        told = s3.upload_part(**name, PartNumber=1, Body=b"4" * 9, ContentMD5=_md5_of(b"3"))
        assert told["ETag"] == f'"{hashlib.md5(b"3").hexdigest()}"'
        assert "ServerSideEncryption" not in told
        told = s3.upload_part(**name, PartNumber=2, Body=b"4", ChecksumCRC64NVME=CRC)
        # Else a client that knows the MD5 would find that the store holds other bytes.
        assert told["ServerSideEncryption"] == "aws:kms"
        request = urllib.request.Request(
            f"{running.endpoint.url}/bench/plain", data=b"4" * 100_000, method="PUT"
        )
        with urllib.request.urlopen(request, timeout=20) as answer:
            assert answer.headers["ETag"] == f'"{hashlib.md5(b"4" * 100_000).hexdigest()}"'
        assert [(held.key, held.size) for held in running.held()] == [("plain", 100_000)]


@pytest.mark.parametrize("version", ["list_objects", "list_objects_v2"])
@pytest.mark.parametrize("delimiter", ["", "/"])
def test_listing_pages_through_everything_once(
    s3: BaseClient, version: str, delimiter: str
) -> None:
    keys = sorted([f"p/{n % 5}/é{n}" for n in range(40)] + ["p/&<>", "p/ +%", "q"], key=str.encode)
    for key in reversed(keys):
        s3.put_object(Bucket="bench", Key=key, Body=key.encode())
    pages = s3.get_paginator(version).paginate(
        Bucket="bench", Prefix="p/", Delimiter=delimiter, PaginationConfig={"PageSize": 3}
    )
    found, groups = [], []
    for answer in pages:
        found += [entry["Key"] for entry in answer.get("Contents", [])]
        groups += [group["Prefix"] for group in answer.get("CommonPrefixes", [])]
    wanted = [key for key in keys if key.startswith("p/")]
    if delimiter:
        assert groups == sorted({key[:4] for key in wanted if key.count("/") > 1})
        wanted = [key for key in wanted if key.count("/") == 1]
    assert found == wanted


def test_start_after_and_deletion(s3: BaseClient) -> None:
    for key in "abcd":
        s3.put_object(Bucket="bench", Key=key, Body=b"")
    s3.list_objects_v2(Bucket="bench")
    s3.delete_object(Bucket="bench", Key="c")
    answer = s3.list_objects_v2(Bucket="bench", StartAfter="a")
    assert [entry["Key"] for entry in answer["Contents"]] == ["b", "d"]
    s3.delete_objects(Bucket="bench", Delete={"Objects": [{"Key": "a"}, {"Key": "b"}]})
    assert s3.list_objects_v2(Bucket="bench")["KeyCount"] == 1


@given(KEYS, st.integers(1, 5), st.sampled_from([b"", b"/"]), st.text("a/é", max_size=2))
def test_pages_are_the_whole_listing_cut_up(
    keys: list[str], limit: int, delimiter: bytes, prefix: str
) -> None:
    ordered = sorted(key.encode() for key in keys)
    start = prefix.encode()
    wanted = []
    for key in ordered:
        if key.startswith(start):
            cut = key.find(delimiter, len(start)) if delimiter else -1
            name = key if cut < 0 else key[: cut + 1]
            wanted += [name] if name not in wanted else []
    found: list[bytes] = []
    after: bytes | None = b""
    while after is not None:
        part = page(ordered, Query(start, after, delimiter, limit))
        assert len(part.keys) + len(part.groups) <= limit
        found += sorted(part.keys + part.groups)
        after = part.more
    assert found == wanted


@given(st.binary(max_size=300), st.lists(st.integers(1, 40), max_size=12), st.booleans())
def test_aws_chunks_are_decoded_however_they_are_cut(
    body: bytes, cuts: list[int], chunked: bool
) -> None:
    """Signed chunks with a trailer, within a Content-Length or within HTTP's own chunks."""
    inner = _chunks(body, b";chunk-signature=00", b"x-amz-checksum-crc32:AAAA\r\n")
    outer = _chunks(inner, b"", b"") if chunked else inner
    length = b"Transfer-Encoding: chunked" if chunked else b"Content-Length: %d" % len(inner)
    head = b"PUT /b/k HTTP/1.1\r\nX-Amz-Content-SHA256: STREAMING-UNSIGNED-PAYLOAD-TRAILER\r\n"
    digest = Digest(keep=True)
    framing = frame(Request(head + length + b"\r\n"), digest)
    wire = outer + b"NEXT"
    following = None
    for cut in [*cuts, len(wire)]:
        piece, wire = wire[:cut], wire[cut:]
        following = framing.write(piece) if following is None else following + piece
        if not wire:
            break
    assert following == b"NEXT"
    assert digest.received() == (len(body), hashlib.md5(body).digest(), body)


def _chunks(body: bytes, extension: bytes, trailers: bytes) -> bytes:
    cut = [body[at : at + 7] for at in range(0, len(body), 7)]
    parts = [b"%x%b\r\n%b\r\n" % (len(part), extension, part) for part in cut]
    return b"".join([*parts, b"0", extension, b"\r\n", trailers, b"\r\n"])


def test_expect_continue_and_close(peer: Peer) -> None:
    if peer.endpoint.authority:
        pytest.skip("the framing is the same, and curl's trust another matter")
    url = f"{peer.endpoint.url}/bench/k"
    command = ["curl", "-sS", "-i", "-T", "-", "-H", "Expect: 100-continue", url]
    told = subprocess.run(
        [*command, "-H", "Connection: close"], input=b"x" * 100_000, capture_output=True, timeout=20
    )
    assert told.stdout.startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n")
    assert hashlib.md5(b"x" * 100_000).hexdigest().encode() in told.stdout


def test_counts(s3: BaseClient, peer: Peer) -> None:
    s3.put_object(Bucket="bench", Key="a", Body=b"123")
    s3.list_objects_v2(Bucket="bench")
    counts = peer.counts()
    assert counts.requests == {"put_object": 1, "list_objects": 1}
    assert (counts.keys, counts.bytes) == (1, 3)
    peer.reset()
    assert peer.counts().requests == {}
    assert peer.counts().keys == 1


@pytest.mark.parametrize("size", [5, 4096, 600_000])
def test_preloaded_objects_are_whole(size: int) -> None:
    with serving(preload=3, size=size) as running:
        s3 = client(running.endpoint)
        listed = s3.list_objects_v2(Bucket="bench", Prefix="p/")["Contents"]
        assert [entry["Key"] for entry in listed] == [f"p/{name}" for name in names(3)]
        assert len({entry["ETag"] for entry in listed}) == 3
        for number, entry in enumerate(listed):
            body = s3.get_object(Bucket="bench", Key=entry["Key"])["Body"].read()
            assert body == whole(number, size)
            assert entry["ETag"] == f'"{hashlib.md5(body).hexdigest()}"'
            # s5cmd passes by what is younger than its run.
            assert entry["LastModified"].timestamp() < time.time()


def test_a_large_object_is_told_as_it_was_put() -> None:
    size = 2 * preload.PART_SIZE + 5
    body = whole(0, size)
    parts = [body[at : at + preload.PART_SIZE] for at in range(0, size, preload.PART_SIZE)]
    assert len(set(parts)) == 3
    with serving(preload=1, size=size, etag="parts") as running:
        s3 = client(running.endpoint)
        name = {"Bucket": "bench", "Key": f"p/{next(names(1))}"}
        got = s3.get_object(**name)
        assert got["Body"].read() == body
        digests = b"".join(hashlib.md5(part).digest() for part in parts)
        assert got["ETag"] == f'"{hashlib.md5(digests).hexdigest()}-3"'
        for number, part in enumerate(parts, 1):
            head = s3.head_object(**name, PartNumber=number, IfMatch=got["ETag"])
            assert (head["ContentLength"], head["PartsCount"]) == (len(part), 3)
            assert s3.get_object(**name, PartNumber=number)["Body"].read() == part
        for wrong in ({"PartNumber": 4}, {"IfMatch": '"other"'}):
            with pytest.raises(ClientError) as error:
                s3.head_object(**name, **wrong)
            assert code(error) in ("416", "412")


def test_a_checksum_is_told_to_whoever_asks_for_it() -> None:
    checksums = pytest.importorskip("awscrt.checksums")
    with serving(preload=1, size=100_000, crc64nvme=True) as running:
        s3 = client(running.endpoint)
        name = {"Bucket": "bench", "Key": f"p/{next(names(1))}"}
        crc = checksums.crc64nvme(whole(0, 100_000)).to_bytes(8, "big")
        wanted = (base64.b64encode(crc).decode(), "FULL_OBJECT")
        for told in (
            s3.head_object(**name, ChecksumMode="ENABLED"),
            s3.get_object(**name, ChecksumMode="ENABLED"),
        ):
            assert (told["ChecksumCRC64NVME"], told["ChecksumType"]) == wanted
        ranged = s3.get_object(**name, ChecksumMode="ENABLED", Range="bytes=0-9")
        assert "ChecksumCRC64NVME" not in ranged


def test_large_bodies_are_never_held() -> None:
    size = 200_000_000
    with serving(preload=1, size=size, trust=True) as running:
        path = f"{running.endpoint.url}/bench/p/{next(names(1))}"
        curl = ["curl", "-sSf", "-o", os.devnull, path]
        assert subprocess.run(curl, timeout=20, check=False).returncode == 0
        zeros = subprocess.Popen(["head", "-c", str(size), "/dev/zero"], stdout=subprocess.PIPE)
        subprocess.run([*curl, "-T", "-"], stdin=zeros.stdout, timeout=20, check=True)
        zeros.communicate()
        assert [held.size for held in running.held()] == [size]
        assert 0 < _peak_of_peers() < size / 2


def _peak_of_peers() -> int:
    """Bytes that the largest peer of this process ever held."""
    children = " ".join(
        path.read_text() for path in Path("/proc/self/task").glob("*/children")
    ).split()
    pids = [pid for pid in children if b"peer.py" in Path(f"/proc/{pid}/cmdline").read_bytes()]
    told = (Path(f"/proc/{pid}/status").read_text() for pid in pids)
    peaks = (re.search(r"VmHWM:\s+(\d+) kB", status) for status in told)
    return max(int(peak[1]) * 1024 for peak in peaks if peak)


def test_bodies_that_are_not_known_are_not_invented() -> None:
    with serving(preload=1, size=5) as running:
        s3 = client(running.endpoint)
        s3.put_object(Bucket="bench", Key="k", Body=b"forgotten")
        with pytest.raises(ClientError) as error:
            s3.get_object(Bucket="bench", Key="k")
        assert code(error) == "BodyNotKept"


def test_clear_leaves_what_was_there_from_the_start() -> None:
    with serving(preload=2, size=20) as running:
        s3 = client(running.endpoint)
        first, second = (f"p/{name}" for name in names(2))
        s3.copy_object(Bucket="bench", Key="q", CopySource={"Bucket": "bench", "Key": second})
        copied = s3.get_object(Bucket="bench", Key="q")["Body"].read()
        assert copied == s3.get_object(Bucket="bench", Key=second)["Body"].read()
        s3.put_object(Bucket="bench", Key=first, Body=b"another")
        s3.delete_object(Bucket="bench", Key=second)
        running.clear()
        assert running.counts()[:4] == ({}, 1, 2, 40)
        listed = s3.list_objects_v2(Bucket="bench")["Contents"]
        assert [(entry["Key"], entry["Size"]) for entry in listed] == [(first, 20), (second, 20)]


def test_a_listing_tells_of_an_object_that_was_replaced(s3: BaseClient) -> None:
    for body in (b"1", b"22"):
        s3.put_object(Bucket="bench", Key="k", Body=body)
        entry = s3.list_objects_v2(Bucket="bench")["Contents"][0]
        assert entry["Size"] == len(body)
        assert entry["ETag"] == f'"{hashlib.md5(body).hexdigest()}"'


@given(st.integers(0, 10**6), st.integers(0, 40), st.integers(0, 40), st.integers(0, 40))
def test_a_part_of_a_preloaded_body_is_a_part_of_the_whole(
    number: int, size: int, start: int, end: int
) -> None:
    start, end = sorted((min(start, size), min(end, size)))
    assert b"".join(preload.body(number, size, start, end)) == whole(number, size)[start:end]


def test_latency_holds_up_only_whom_it_answers() -> None:
    with serving(latency=0.3) as running, ThreadPoolExecutor(10) as threads:
        begun = time.perf_counter()
        asked = [
            threads.submit(urllib.request.urlopen, f"{running.endpoint.url}/bench", timeout=20)
            for _ in range(10)
        ]
        for answer in asked:
            answer.result().close()
        assert 0.3 <= time.perf_counter() - begun < 2.5  # one after the other: 3


QUICK = {"s3pp", "s5cmd"}  # of the others each run takes seconds
FEW = Load(1100, 20)


def _each_tool(test: Callable[..., None]) -> Callable[..., None]:
    """Parametrize ``test`` by ``tool``: every one that is installed."""
    cases = [
        pytest.param(tool, id=name, marks=() if name in QUICK else pytest.mark.thorough)
        for name in tools.NAMES
        if (tool := tools.find(name)) and not tool.is_floor
    ]
    decorated: Callable[..., None] = pytest.mark.parametrize("tool", cases)(test)
    return decorated


@pytest.fixture(scope="module")
def stock() -> Iterator[Peer]:
    with serving(preload=FEW.files, size=FEW.size) as running:
        yield running


@pytest.fixture
def few(stock: Peer) -> Peer:
    stock.clear()
    return stock


def _run(tool: Tool, command: list[str], peer: Peer, stdout: IO[bytes] | None = None) -> None:
    run = measure(command, env=tool.environment(peer.endpoint), stdout=stdout)
    assert (run.status, run.left) == (0, 0), run.errors


@_each_tool
def test_every_tool_fetches_the_same(tool: Tool, few: Peer, tmp_path: Path) -> None:
    directory = tmp_path / "a b"
    directory.mkdir()
    _run(tool, invocations.get(tool, few.endpoint, directory, FEW), few)
    assert fault(directory, FEW) is None
    assert few.counts().requests["get_object"] == 1100


@_each_tool
def test_every_tool_copies_to_the_same_keys(tool: Tool, few: Peer) -> None:
    _run(tool, invocations.copy(tool, few.endpoint, FEW), few)
    counts = few.counts()
    assert (counts.requests["copy_object"], counts.requests.get("get_object", 0)) == (1100, 0)
    pages = client(few.endpoint).get_paginator("list_objects_v2").paginate(Bucket="bench")
    etags = {entry["Key"]: entry["ETag"] for part in pages for entry in part["Contents"]}
    for name in names(1100):
        assert etags.pop(f"copied/{name}") == etags.pop(f"p/{name}")
    assert not etags


@_each_tool
def test_every_tool_prints_a_line_for_each_key(tool: Tool, few: Peer, tmp_path: Path) -> None:
    with (tmp_path / "lines").open("w+b") as lines:
        _run(tool, invocations.keys(tool, few.endpoint, FEW), few, lines)
        lines.seek(0)
        printed = [line.split()[-1].decode() for line in lines]
    assert [key[-len("d0000/f0000000.txt") :] for key in sorted(printed)] == list(names(1100))


def test_what_is_wrong_with_a_fetched_directory_is_seen(tmp_path: Path) -> None:
    load = Load(3, 20)
    directory = tmp_path / "got"
    assert fault(directory, load) == "there are 0 files, not 3"
    make(directory, 3, 20)  # names as the peer's, bodies that end otherwise
    first, *_, last = names(3)
    assert fault(directory, load) == f"{first} is not what the peer holds"
    for number, name in enumerate(names(3)):
        (directory / name).write_bytes(whole(number, 20))
    assert fault(directory, load) is None
    (directory / last).rename(directory / "temporary")
    assert fault(directory, load) == f"{last} is not what the peer holds"
    (directory / last).touch()
    assert fault(directory, load) == "there are 4 files, not 3"


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("get", "s5cmd: there are 0 files, not 5"),
        ("copy", "s5cmd: the bucket holds 5 keys, 20480 bytes, not 10 of 4096 bytes"),
        ("list", "s5cmd: 0 names printed of 5 keys, status 0"),
        ("large-put", "s5cmd: the bucket holds 0 keys, 0 bytes, not 1 of 4096 bytes"),
        ("large-get", "s5cmd: there are 0 files, not 1"),
    ],
)
def test_a_tool_that_does_nothing_is_left_out(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    name: str,
    told: str,
) -> None:
    monkeypatch.setattr(tools, "find", lambda name: Tool(name, ("true",)))
    options = ["--files", "5", "--rounds", "1", "--tools", "s5cmd", "--into", str(tmp_path)]
    options += ["--size", "4096", "--folder", str(tmp_path)]
    assert bench.main([name, *options]) == 0
    assert f"left out: {told}" in capsys.readouterr().out


@pytest.mark.skipif(tools.find("s5cmd") is None, reason="no s5cmd is installed")
@pytest.mark.parametrize("name", ["put", "get", "copy", "list", "update", "noop", "start"])
def test_benches_print_a_row_and_leave_nothing(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, name: str
) -> None:
    into, folder = tmp_path / "into", tmp_path / "trees"
    into.mkdir()
    options = ["--files", "5", "--rounds", "1", "--tools", "s5cmd", "--into", str(into)]
    assert bench.main([name, *options, "--folder", str(folder)]) == 0
    rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert [row[-2:] for row in rows if row[:1] == ["s5cmd"]] == [["1.00", "1.00"]]
    assert not list(into.iterdir())


@pytest.mark.skipif(tools.find("s5cmd") is None, reason="no s5cmd is installed")
def test_a_mirror_is_merged_and_what_is_too_much_deleted(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    options = ["--files", "2500", "--rounds", "1", "--tools", "s3pp,s5cmd"]
    assert bench.main(["mirror", *options, "--folder", str(tmp_path)]) == 0
    rows = [re.split("  +", line) for line in capsys.readouterr().out.splitlines()]
    assert [row[:3] for row in rows if row[0] in ("skipped", "deleted")] == [
        ["skipped", "s3pp", "250"],
        ["skipped", "s3pp", "2,500"],
        ["deleted", "s3pp", "2,499"],
        ["deleted", "s5cmd", "2,499"],
        ["deleted", "s5cmd rm", "2,499"],
    ]


def test_keys_that_are_computed_are_listed_and_deleted() -> None:
    with serving(listed=2500, size=7) as peer:
        s3, counts = client(peer.endpoint), peer.counts()
        assert (counts.keys, counts.bytes) == (2500, 2500 * 7)
        assert _keys(s3) == [f"p/{name}" for name in names(2500)]
        first, second, third = _keys(s3)[:3]
        etag = s3.head_object(Bucket="bench", Key=first)["ETag"]
        named = [{"Key": first}, {"Key": second, "ETag": etag}, {"Key": third, "ETag": '"no"'}]
        answer = s3.delete_objects(
            Bucket="bench", Delete={"Objects": [*named, {"Key": "p/none", "ETag": etag}]}
        )
        assert [each["Key"] for each in answer["Deleted"]] == [first, second]
        refused = {each["Key"]: each["Code"] for each in answer["Errors"]}
        assert refused == {third: "PreconditionFailed", "p/none": "NoSuchKey"}
        assert (_keys(s3)[0], peer.counts().keys) == (third, 2498)
        with pytest.raises(ClientError, match="NotImplemented"):
            s3.put_object(Bucket="bench", Key="p/new")
        peer.clear()
        assert peer.counts().keys == 2500


def _keys(s3: BaseClient) -> list[str]:
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket="bench", Prefix="p/")
    return [found["Key"] for page in pages for found in page["Contents"]]


@given(KEYS, st.sets(st.integers(0, 29)), st.integers(1, 5))
def test_what_is_gone_is_on_no_page(keys: list[str], numbers: set[int], limit: int) -> None:
    ordered = sorted(key.encode() for key in keys)
    gone = {ordered[at] for at in numbers if at < len(ordered)}
    found: list[bytes] = []
    after: bytes | None = b""
    while after is not None:
        part = page(ordered, Query(b"", after, b"", limit), gone)
        found, after = found + part.keys, part.more
    assert found == [key for key in ordered if key not in gone]


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("put", ["--files", "50", "--https"]),
        ("get", ["--files", "50"]),
        ("copy", ["--files", "50"]),
        ("list", ["--files", "1100"]),  # two pages
        pytest.param("large-put", ["--size", "65MiB"], marks=pytest.mark.thorough),
        pytest.param("large-get", ["--size", "65MiB"], marks=pytest.mark.thorough),
    ],
)
def test_the_floor_does_the_whole_job(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, name: str, options: list[str]
) -> None:
    where = ["--folder", str(tmp_path), "--into", str(tmp_path)]
    assert bench.main([name, *options, "--rounds", "1", "--tools", "floor", *where]) == 0
    told = capsys.readouterr().out
    assert [line for line in told.splitlines() if line.startswith("floor  ")], told


def test_a_floor_that_is_refused_or_gets_other_bytes_fails(few: Peer, tmp_path: Path) -> None:
    floor = tools.find(tools.FLOOR)
    assert floor is not None
    for load, told in ((Load(1101, 20), ": 404"), (Load(3, 21), "20 bytes came, not 21")):
        command = invocations.get(floor, few.endpoint, tmp_path, load)
        run = measure(command, env=floor.environment(few.endpoint))
        assert (run.status, run.left) == (1, 0)
        assert told in run.errors


def test_the_floor_has_no_part_where_the_whole_is_asked_about(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    options = ["--files", "5", "--rounds", "1", "--tools", "floor", "--folder", str(tmp_path)]
    assert bench.main(["update", *options]) == 1
    assert "the floor only sends requests: name other --tools" in capsys.readouterr().err


def test_layers_add_up_to_the_run(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    where = ["--folder", str(tmp_path), "--into", str(tmp_path)]
    assert bench.main(["layers", "--files", "20", "--tools", "s3pp", *where]) == 0
    rows = [re.split("  +", line) for line in capsys.readouterr().out.splitlines()]
    figures = [row[1:4] for row in rows if len(row) == 5 and row[1][-1].isdigit()]
    *parts, whole = ([float(each) for each in row] for row in figures)
    assert len(parts) == 12
    for verb in range(3):
        # To a tenth each; processes are looked at every 10 ms.
        assert abs(sum(part[verb] for part in parts) - whole[verb]) < 1


def _ran(wall: float) -> Run:
    measured = Measured(0, wall, wall, 0, 0, 0, "")
    return Run(1, measured, Counts({}, 0, 0, 0, 0.0), 0.0)


def test_ratios_are_of_rounds_and_slow_tools_take_part_in_the_first(tmp_path: Path) -> None:
    walls = {"fast": iter([9.0, 1.0, 2.0, 3.0]), "slow": iter([9.0, 4.0])}
    setting = Setting(tmp_path, tmp_path, rounds=3, once=frozenset({"slow"}))
    contestants = [Tool("fast", ()), Tool("slow", ())]
    fast, slow = interleave(contestants, lambda tool, _: _ran(next(walls[tool.name])), setting)
    assert (len(fast.timed), len(slow.timed)) == (3, 1)
    assert slow.ratio(fast, lambda run: run.measured.wall) == 4.0
    assert fast.ratio(slow, lambda run: run.rate) == 4.0


def test_a_page_has_a_table_for_each_question(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    asked = []

    def some(setting: Setting, found: Sequence[Tool]) -> Table:
        asked.append((setting.https, [tool.name for tool in found]))
        return Table("t", ("tool", "figure"), [[tool.name, "1"] for tool in found])

    questions = {
        question: {what: part._replace(bench=some) for what, part in parts.items()}
        for question, parts in pages.QUESTIONS.items()
    }
    monkeypatch.setattr(pages, "QUESTIONS", questions)
    found = [Tool(name, ()) for name in tools.NAMES]
    tables = list(pages.page(Setting(tmp_path, tmp_path), found))
    assert [table.title for table in tables] == list(questions)
    assert asked[:2] == [(False, [*tools.NAMES]), (True, ["s3pp", "s5cmd", "rclone", "floor"])]
    assert asked[-1] == (False, [])  # the layers are measured of this checkout in any case
    assert all(names for _, names in asked[:-1])


def test_tables_are_joined_as_restructuredtext_takes_them() -> None:
    one = Table("one", ("tool", "n"), [["a", "1"], ["b", "2"]])
    both = join("both", {"http": one, "https": Table("two", ("tool", "n"), [["a", "3"]])})
    assert str(both).splitlines() == [
        "both",
        "",
        "=====  ====  =",
        "what   tool  n",
        "=====  ====  =",
        "http   a     1",
        "\\      b     2",
        "https  a     3",
        "=====  ====  =",
    ]


@pytest.mark.skipif(tools.find("s5cmd") is None, reason="no s5cmd is installed")
@pytest.mark.parametrize("name", ["large-put", "large-get"])
def test_benches_of_large_objects_print_each_variant(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, name: str
) -> None:
    into = tmp_path / "into"
    into.mkdir()
    options = ["--size", "12MiB", "--rounds", "1", "--tools", "s5cmd", "--into", str(into)]
    assert bench.main([name, *options, "--folder", str(tmp_path)]) == 0
    rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    rows = [row for row in rows if row[:1] == ["s5cmd"]]
    assert [row[1] == "tuned" for row in rows] == [False, True]
    assert rows[0][-2:] == ["1.00", "1.00"]
    assert not list(into.iterdir())


def test_a_large_file_is_deterministic_and_its_object_is_checked(
    s3: BaseClient, peer: Peer, tmp_path: Path
) -> None:
    path = large(tmp_path, 3_000_001)
    body = path.read_bytes()
    assert len(body) == 3_000_001
    assert large(tmp_path / "again", 3_000_001).read_bytes() == body
    s3.put_object(Bucket="bench", Key="k", Body=body)
    check(peer, Tool("s5cmd", ()), path)
    path.write_bytes(bytes(3_000_001))
    etag.cache_clear()
    with pytest.raises(Failed, match="s5cmd: the object's ETag is"):
        check(peer, Tool("s5cmd", ()), path)


def test_the_etag_of_a_file_is_that_of_its_parts(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"abcde")
    digests = b"".join(hashlib.md5(part).digest() for part in (b"ab", b"cd", b"e"))
    assert etag(path, 2) == f"{hashlib.md5(digests).hexdigest()}-3"
    assert etag(path, 0) == hashlib.md5(b"abcde").hexdigest()


@pytest.mark.parametrize(
    ("text", "wanted"), [("4096", 4096), ("3KiB", 3072), ("12MiB", 12 << 20), ("2GiB", 2 << 30)]
)
def test_sizes_have_units(text: str, wanted: int) -> None:
    assert bench.size(text) == wanted


def test_large_get_wants_room(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    usage = shutil.disk_usage(tmp_path)._replace(free=999)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)
    options = ["--size", "1000", "--tools", "s5cmd", "--into", str(tmp_path)]
    monkeypatch.setattr(tools, "find", lambda name: Tool(name, ("true",)))
    assert bench.main(["large-get", *options]) == 1
    assert f"{tmp_path} has 999 bytes free" in capsys.readouterr().err


def test_tree_is_deterministic_and_without_twins(tmp_path: Path) -> None:
    bodies = [path.read_bytes() for path in sorted(tree(tmp_path, 1200, 20).glob("*/*"))]
    assert len(set(bodies)) == 1200
    assert {len(body) for body in bodies} == {20}
    again = sorted(tree(tmp_path / "again", 1200, 20).glob("*/*"))
    assert [path.read_bytes() for path in again] == bodies


def test_processes_are_told_apart_by_their_titles() -> None:
    spin = "import time; e=time.process_time\nwhile e() < .15: pass"
    times = ProcessTimes()
    run = measure([sys.executable, "-c", f"{spin} # spinner"], look=times.look)
    assert 0.1 <= times.of("spinner") <= run.cpu + 0.02
    assert times.of("another") == 0


def test_measure_counts_descendants_and_leaves_none() -> None:
    spin = "import time; e=time.process_time\nwhile e() < .15: pass"
    fork = f"import os,sys\nif os.fork()==0:\n exec({spin!r})\n os._exit(0)\n"
    waiting = measure([sys.executable, "-c", f"{fork}os.wait()"], sampled=True)
    orphaned = measure([sys.executable, "-c", fork])
    for run in (waiting, orphaned):
        assert (run.status, run.left) == (0, 0)
        assert 0.15 <= run.cpu < 1.5
    assert 0 < waiting.pss <= waiting.rss
    daemon = measure([sys.executable, "-c", "import os,time\nif os.fork()==0: time.sleep(60)"])
    assert daemon.left == 1
    with pytest.raises(TimedOut):
        measure(["sleep", "60"], timeout=0.1)
