"""Stores and proxies that pack or unpack bodies on their way: what is stored is what arrives."""

from __future__ import annotations

import gzip
from dataclasses import dataclass, replace

import pytest

from faults.trials import CopyTrial, GetTrial
from stores.fault_actions import Action, Exchange, Response
from stores.fault_proxy import Rule
from trees import content

TEXT = b"text " * 5000
LARGE = content(1 << 20).hex().encode()
PLAIN = {"plain": TEXT, "plain-large": LARGE}
PACKED = {f"packed{key[5:]}": gzip.compress(body, mtime=0) for key, body in PLAIN.items()}
STORED = {**PLAIN, **PACKED}


def altered(response: Response, body: bytes, **changed: str | None) -> Response:
    """A response with another body, whose length nobody told, and other headers."""
    names = {name.replace("_", "-") for name in changed} | {"content-length"}
    kept = tuple(pair for pair in response.headers if pair[0].lower() not in names)
    given = tuple((name.replace("_", "-"), value) for name, value in changed.items() if value)
    return replace(response, headers=kept + given, body=body, unmeasured=True)


def coding(headers: tuple[tuple[str, str], ...], name: str) -> str:
    return next((value for key, value in headers if key.lower() == name), "")


@dataclass(frozen=True)
class Unpack(Action):
    """As nginx with ``gunzip``, and Google Cloud Storage: unless gzip is accepted."""

    always: bool = False  # even then

    def answer(self, exchange: Exchange) -> Response:
        response = exchange.forward()
        accepted = "gzip" in exchange.request.header("accept-encoding") and not self.always
        if accepted or coding(response.headers, "content-encoding") != "gzip":
            return response
        body = gzip.decompress(response.body) if response.body else b""
        etag = f"W/{coding(response.headers, 'etag')}"
        return altered(response, body, content_encoding=None, etag=etag)


@dataclass(frozen=True)
class Pack(Action):
    """As nginx (``W/``), or Apache (a suffix), with compression: where gzip is accepted."""

    suffix: bool
    always: bool = False

    def answer(self, exchange: Exchange) -> Response:
        response = exchange.forward()
        accepted = "gzip" in exchange.request.header("accept-encoding") or self.always
        if not accepted or coding(response.headers, "content-encoding"):
            return response
        etag = coding(response.headers, "etag")
        etag = f'{etag[:-1]}-gzip"' if self.suffix else f"W/{etag}"
        return altered(response, gzip.compress(response.body), content_encoding="gzip", etag=etag)


def store(trial: GetTrial | CopyTrial) -> None:
    trial.bucket.fill(PLAIN)
    for key, body in PACKED.items():
        trial.bucket.put(key, body, ContentEncoding="gzip")


WAYS = {"unpack": Unpack(), "nginx": Pack(suffix=False), "apache": Pack(suffix=True)}


@pytest.mark.parametrize("way", WAYS)
def test_what_is_stored_is_got(moto_get: GetTrial, way: str) -> None:
    store(moto_get)
    ranged = moto_get.fill({"plain-ranged": 6 << 20})
    moto_get.inject(Rule(WAYS[way], "GET|HEAD", r"/(plain|packed)(-\w+)?$"))
    end = moto_get.run("--part-size=5M", "--multipart-threshold=5M")
    assert (end.code, end.result.err) == (0, "")
    assert moto_get.files() == STORED | ranged


def test_what_nobody_hands_out_as_it_is_stored_fails(moto_get: GetTrial) -> None:
    store(moto_get)
    moto_get.inject(
        Rule(Unpack(always=True), "GET", r"/packed(-large)?$"),
        Rule(Pack(suffix=False, always=True), "GET", "/plain$"),
        Rule(Pack(suffix=True, always=True), "GET", "/plain-large$"),
    )
    end = moto_get.run()
    assert (end.code, end.kinds) == (1, dict.fromkeys(STORED, "integrity"))
    assert moto_get.files() == {}
    for key in STORED:
        word = "unpacks" if key in PACKED else "compresses"
        assert word in end.failed[key]["message"]


@pytest.mark.parametrize("way", WAYS)
def test_what_is_stored_is_copied(moto_through: CopyTrial, way: str) -> None:
    store(moto_through)
    assert moto_through.source_proxy
    moto_through.source_proxy.inject(Rule(WAYS[way], "GET|HEAD", r"/(plain|packed)(-large)?$"))
    assert moto_through.run().code == 0
    assert moto_through.dest.tree() == STORED
    assert moto_through.dest.head("packed")["ContentEncoding"] == "gzip"
    assert "ContentEncoding" not in moto_through.dest.head("plain")


def test_other_bytes_are_never_copied(moto_through: CopyTrial) -> None:
    store(moto_through)
    assert moto_through.source_proxy
    moto_through.source_proxy.inject(Rule(Unpack(always=True), "GET", r"/packed(-large)?$"))
    end = moto_through.run()
    assert (end.code, end.kinds) == (1, dict.fromkeys(PACKED, "integrity"))
    assert moto_through.dest.tree() == PLAIN


@pytest.mark.parametrize("way", WAYS)
def test_gunzip_undoes_what_is_stored_packed_and_nothing_else(moto_get: GetTrial, way: str) -> None:
    """Through one that unpacks, or packs, on the way; a second run finds all of it unpacked."""
    store(moto_get)
    moto_get.inject(Rule(WAYS[way], "GET|HEAD", r"/(plain|packed)(-large)?$"))
    for event in ("done", "skipped"):
        result = moto_get.start_plain("--json", "--gunzip").wait()
        assert (result.code, result.err) == (0, "")
        assert {each["event"] for each in result.events[:-1]} == {event}
        assert moto_get.files() == PLAIN | {f"packed{key[5:]}": PLAIN[key] for key in PLAIN}


def test_gunzip_of_what_does_not_come_as_it_is_stored_fails(moto_get: GetTrial) -> None:
    store(moto_get)
    moto_get.inject(
        Rule(Unpack(always=True), "GET", r"/packed(-large)?$"),
        Rule(Pack(suffix=False, always=True), "GET", "/plain$"),
        Rule(Pack(suffix=True, always=True), "GET", "/plain-large$"),
    )
    end = moto_get.run("--gunzip")
    assert (end.code, end.kinds) == (1, dict.fromkeys(STORED, "integrity"))
    assert moto_get.files() == {}
