"""Content codings, however their list is written."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3pp.s3.codings import codings, gzip_layers, is_gzip
from s3pp.s3.wire import Response


def response(*values: str) -> Response:
    lines = [f"Content-Encoding: {value}\r\n".encode() for value in values]
    return Response(200, [b"HTTP/1.1 200 OK\r\n", *lines, b"Server: x\r\n"], b"")


GZIP = st.sampled_from(["gzip", "GZIP", "x-gzip", "Gzip"])
NOTHING = st.sampled_from(["", "aws-chunked", "AWS-chunked", " "])
OTHER = st.sampled_from(["br", "deflate", "zstd", "UTF-8", "gzipped"])
SPACE = st.sampled_from(["", " ", "  ", "\t"])


@given(st.lists(st.one_of(GZIP, NOTHING, OTHER), max_size=5), st.data())
def test_order_case_spaces_and_lines_do_not_matter(listed: list[str], data: st.DataObject) -> None:
    spaced = [data.draw(SPACE) + each + data.draw(SPACE) for each in listed]
    cut = data.draw(st.integers(0, len(spaced)))
    told = response(*(",".join(part) for part in (spaced[:cut], spaced[cut:]) if part))
    named = [each.lower() for each in listed if each.strip()]
    gzips = sum(each in ("gzip", "x-gzip") for each in named)
    others = sum(each not in ("gzip", "x-gzip", "aws-chunked") for each in named)
    assert is_gzip(told) is bool(gzips)
    assert gzip_layers(told) == ((None if gzips else 0) if others else gzips)
    assert [each.lower() for each in codings(told)] == [n for n in named if n != "aws-chunked"]


@pytest.mark.parametrize(
    ("values", "layers"),
    [
        ([], 0),
        ([""], 0),
        (["identity"], 0),
        (["gzip"], 1),
        (["gzip, identity"], 1),
        (["gzip,aws-chunked"], 1),
        (["aws-chunked", "gzip"], 1),
        (["gzip, gzip"], 2),
        (["br"], 0),
        (["br, gzip"], None),
        (["gzip, br"], None),
    ],
)
def test_how_often_it_has_to_be_unpacked(values: list[str], layers: int | None) -> None:
    assert gzip_layers(response(*values)) == layers


def test_other_headers_are_none() -> None:
    assert codings(Response(200, [b"X-Content-Encoding: gzip\r\n", b"x: gzip\r\n"], b"")) == []
