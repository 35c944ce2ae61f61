"""What fuzzing has found, and one example of each form: read as documented, quickly and in bounds.

``fuzz/__main__.py`` finds more. A file of ``tests/corpus`` is named for what is odd about it.
"""

from __future__ import annotations

import time
import tracemalloc
from pathlib import Path

import pytest

from fuzz.targets import TARGETS

CORPUS = Path(__file__).parents[1] / "corpus"
FILES = sorted(each for each in CORPUS.rglob("*") if each.is_file())
MOST_SECONDS = 20.0  # on the slowest machine; on this one each takes a few milliseconds
MOST_BYTES, FACTOR = 4 << 20, 64  # held at once: so many, and so many times the size of the input


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(CORPUS).as_posix())
def test_it_is_read_as_documented(path: Path) -> None:
    data = path.read_bytes()
    TARGETS[path.parent.name](data)  # imports what it needs
    tracemalloc.start()
    try:
        began = time.process_time()  # other processes may be busy
        TARGETS[path.parent.name](data)
        assert time.process_time() - began < MOST_SECONDS
        assert tracemalloc.get_traced_memory()[1] < MOST_BYTES + FACTOR * len(data)
    finally:
        tracemalloc.stop()


def test_each_target_has_an_example() -> None:
    assert {each.name for each in CORPUS.iterdir()} == set(TARGETS)


# What would be too long for a file.
MADE = {
    "listing": [
        b"<a>" * 300_000,
        b"<ListBucketResult>" + b"<a x='1'>" * 60 + b"</a>" * 60 + b"</ListBucketResult>",
        b'<!DOCTYPE a [<!ENTITY b "cccccccccc">'
        + b"".join(b'<!ENTITY b%d "%s">' % (n, b"&b%d;" % (n - 1) * 10) for n in range(1, 12))
        + b"]><ListBucketResult><Name>&b11;</Name></ListBucketResult>",
        b"<ListBucketResult><Contents><Size>" + b"9" * 300_000 + b"</Size></Contents>",
        b"<" + b"a" * 300_000 + b"/>",
    ],
    "acl": [b"<a>" * 300_000, b'<!DOCTYPE a [<!ENTITY b "c">]><AccessControlPolicy/>'],
    "parts": [b"<ListPartsResult><Part><PartNumber>" + b"9" * 300_000 + b"</PartNumber></Part>"],
    "errors": [
        b"\0" + b"CopyObjectResult " * 50_000,
        b"\xff<Error><Code>x</Code><Message>" + b"&#9;" * 100_000 + b"</Message></Error>",
        b"\xff<Error><Message>" + b"&#x" * 300_000,
    ],
    "head": [b"Date: " + b"(" * 100_000, b"ETag: W/" + b'"' * 100_000, b"a:b,\r\n " * 40_000],
    "exchange": [
        b"HTTP/1.1 100 C\r\n\r\n" * 10_000,
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"1;" + b"x" * 300_000,
        b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * 100_000,
    ],
    "rules": [b"\n" * 30_000 + b"x", b'x = """' + b"\n" * 300_000, b'"""' * 100_000],
    "journal": [b"[" * 300_000, b'{"event":"done","x":' + b"9" * 60_000 + b"}\n"],
    "manifest": [b"[" * 300_000, b'{"files":' + b"9" * 300_000 + b"}"],
    "python": [b"x=" + b"(" * 100_000, b"x=" + b"-" * 100_000, b"x=" + b"9" * 100_000],
    "glob": [b"{" * 4096, b"{," * 2000, b"[" * 4096],
}
CASES = [(name, number) for name, made in MADE.items() for number in range(len(made))]


@pytest.mark.parametrize(("name", "number"), CASES)
def test_what_is_large_or_deep_is_bounded(name: str, number: int) -> None:
    data = MADE[name][number]
    tracemalloc.start()
    try:
        began = time.process_time()  # other processes may be busy
        TARGETS[name](data)
        assert time.process_time() - began < MOST_SECONDS
        assert tracemalloc.get_traced_memory()[1] < MOST_BYTES + FACTOR * len(data)
    finally:
        tracemalloc.stop()
