"""Headers and listings as no store should write them: each is a named failure, or does no harm.

What libcurl cannot read is no answer; what only we would read is taken for untold.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from urllib.parse import unquote

import pytest

from commands import Result, Run
from conftest import MakeRecorder, Tree
from stores.relay import Answer, Request, Rewriter, error
from stores.store import Store
from trees import read_tree

BODY = b"12345"
Headers = Mapping[str, str | None]  # None: the store does not send it

LENGTHS: dict[str, Headers] = {
    f"length {text}": {"Content-Length": text} for text in ("many", "-5", "+5", "5.0", "0_5", "²")
}
# Without the latter no store has answered: see test_no_store.
UNPROVEN: Headers = {"ETag": None, "x-amz-request-id": "1"}
UNTOLD: dict[str, Headers] = {"length of 26 digits": {"Content-Length": "9" * 26}}
HARMLESS: dict[str, Headers] = {
    "length twice": {"Content-Length": "5, 5"},
    **{
        f"time {at}": {"Date": text, "Last-Modified": text}
        for at, text in enumerate(
            (
                None,
                "",
                "yesterday",
                "ÿþ",
                "9" * 400,
                "Mon, 01 Jan 0001 00:00:00 GMT",
                "Fri, 31 Dec 9999 23:59:59 -2359",
                "Mon, 01 Jan 99999999999999999999 00:00:00 GMT",
                "Mon, 01 Jan 2024 00:00:00 +99999999999",
            )
        )
    },
    "no UTF-8": {"Server": "ÿ", "x-amz-meta-a": "äÿ", "Content-Type": "ÿþ", "x-amz-id-2": "ÿ"},
    "coding": {"Content-Encoding": "ÿ"},
    "no etag": UNPROVEN,
    "etag empty": {"ETag": ""},
    "etag of bytes": {"ETag": '"ÿþ"'},
    "etag long": {"ETag": f'"{"x" * 5000}"'},
    "counts": {"x-amz-tagging-count": "many", "x-amz-mp-parts-count": "some"},
    "checksum": {"x-amz-checksum-crc32": "ÿ!", "x-amz-checksum-type": "ÿ"},
}
# Another version of the object than the listed one, whose time is that of the answer.
REPLACED = {f"new {key}": {**each, "ETag": '"v2"'} for key, each in HARMLESS.items() if key > "t"}
ALL = {**LENGTHS, **UNTOLD, **HARMLESS, **REPLACED}
QUICK = ["--json", "-P1", "-c8", "--max-attempts=1", "--read-timeout=2"]


def changed(answer: Answer, headers: Headers) -> Answer:
    """``answer`` with these headers instead of its own."""
    names = {name.lower() for name in headers}
    names |= {"content-length"} if answer.body else set()  # the relay has that of the body
    kept = [each for each in answer.headers if each[0].lower() not in names]
    told = [(name, value) for name, value in headers.items() if value is not None]
    return Answer(answer.status, kept + told, answer.body)


def odd(method: str, *, also: Headers | None = None) -> Rewriter:
    """Change the successful answers to ``method``, each by its key; those to PUT by ``also``."""

    def rewrite(request: Request, answer: Answer) -> Answer:
        name = unquote(request.path.rpartition("/")[2])
        if answer.status >= 300 or name not in ALL:
            return answer
        if request.method == method:
            return changed(answer, ALL[name])
        return changed(answer, also) if also and request.method == "PUT" else answer

    return rewrite


def no_listing(request: Request) -> Answer | None:
    refused = request.of_bucket and request.method == "GET"
    return error(403, "AccessDenied") if refused else None


def check(result: Result, named: Mapping[str, str]) -> None:
    """Just these failed, by key, and of which kind; each was named, and nothing is our defect."""
    failed = [event for event in result.events if event["event"] == "failed"]
    assert {event["key"]: event["kind"] for event in failed} == named, result.err
    assert result.code == (1 if named else 0)
    assert "internal error" not in result.out + result.err
    for event in failed:
        if event["key"] in LENGTHS:
            assert "unreadable answer from http://" in event["message"]


UNREADABLE = dict.fromkeys(LENGTHS, "network")


def test_odd_answers_to_get(s3pp: Run, moto: Store, recorder: MakeRecorder, tmp_path: Path) -> None:
    bucket, dest = moto.bucket(), moto.bucket()
    bucket.fill(dict.fromkeys(ALL, BODY))
    between = recorder(moto, rewrite=odd("GET"))
    result = s3pp("get", *QUICK, bucket.url, tmp_path / "dest", store=between.store)
    silent = dict.fromkeys(UNTOLD, "network")  # libcurl waits for what is announced
    check(result, UNREADABLE | silent)
    assert read_tree(tmp_path / "dest") == dict.fromkeys({**HARMLESS, **REPLACED}, BODY)
    words = ["--source-endpoint-url", between.url, bucket.url, dest.url]
    check(s3pp("copy", *QUICK, *words), UNREADABLE | silent)
    assert dest.tree() == dict.fromkeys({**HARMLESS, **REPLACED}, BODY)


def test_odd_answers_to_head(
    s3pp: Run,
    moto: Store,
    recorder: MakeRecorder,
    tmp_path: Path,
    tree: Tree,
) -> None:
    """Names are asked for by HEAD where listing is refused, and PUTs where they tell no ETag."""
    bucket = moto.bucket()
    bucket.fill(dict.fromkeys(ALL, BODY))
    between = recorder(moto, rewrite=odd("HEAD"), intercept=no_listing)
    names = "".join(f"{name}\n" for name in ALL).encode()
    words = ["--files-from=-", bucket.url, tmp_path / "dest"]
    result = s3pp("get", *QUICK, *words, store=between.store, stdin=names)
    untold = dict.fromkeys(UNTOLD, "integrity")
    check(result, UNREADABLE | untold)
    assert "does not report its size" in result.err
    assert read_tree(tmp_path / "dest") == dict.fromkeys({**HARMLESS, **REPLACED}, BODY)

    src = tree(dict.fromkeys(ALL, BODY))
    result = s3pp("put", *QUICK, src, bucket.url, store=between.store)
    check(result, UNREADABLE)  # what is not told differs, and is sent

    between = recorder(moto, rewrite=odd("HEAD", also=UNPROVEN))
    result = s3pp("put", *QUICK, "--mode=stupid", src, moto.bucket().url, store=between.store)
    check(result, UNREADABLE | untold)


def test_odd_answers_to_put(s3pp: Run, moto: Store, recorder: MakeRecorder, tree: Tree) -> None:
    bucket = moto.bucket()
    between = recorder(moto, rewrite=odd("PUT"))
    unfit = {"length twice", *UNTOLD}  # of a body that is empty
    src = tree(dict.fromkeys(ALL.keys() - unfit, BODY))
    result = s3pp("put", *QUICK, "--mode=stupid", src, bucket.url, store=between.store)
    check(result, UNREADABLE)
    assert bucket.tree().keys() == ALL.keys() - unfit  # the store has what it acknowledged so


PAGES: dict[str, tuple[int, Callable[[bytes], bytes], Headers]] = {
    "size of a word": (3, lambda page: re.sub(b"<Size>[0-9]+", b"<Size>many", page), {}),
    "negative size": (3, lambda page: page.replace(b"<Size>", b"<Size>-"), {}),
    "huge size": (3, lambda page: page.replace(b"<Size>", b"<Size>99999999999999999"), {}),
    "huge page": (3, bytes, {"Content-Length": "99999999999"}),
    "length of a word": (3, bytes, {"Content-Length": "many"}),
    "time of a word": (0, lambda page: re.sub(b"(<LastModified>)[^<]*", rb"\1soon", page), {}),
    "no time": (0, lambda page: re.sub(b"<LastModified>[^<]*</LastModified>", b"", page), {}),
    "odd headers": (0, bytes, {"Date": "ÿþ", "Server": "ÿ", "ETag": "ÿ"}),
    "no date": (0, bytes, {"Date": None}),
}


def odd_pages(change: Callable[[bytes], bytes], headers: Headers) -> Rewriter:
    def rewrite(request: Request, answer: Answer) -> Answer:
        if not request.of_bucket or "max-keys=1&" in request.target:  # the first look
            return answer
        return changed(Answer(answer.status, answer.headers, change(answer.body)), headers)

    return rewrite


@pytest.mark.parametrize("verb", ["list", "get"])
def test_odd_listings(
    s3pp: Run,
    moto: Store,
    recorder: MakeRecorder,
    tmp_path: Path,
    verb: str,
) -> None:
    bucket = moto.bucket()
    bucket.fill({"a": BODY, "b": BODY})
    for at, (what, (code, change, headers)) in enumerate(PAGES.items()):
        between = recorder(moto, rewrite=odd_pages(change, headers))
        places = [bucket.url, tmp_path / str(at)][: 2 if verb == "get" else 1]
        result = s3pp(verb, *QUICK[:1], *QUICK[3:], *places, store=between.store)
        assert (result.code, "internal error" in result.err) == (code, False), (what, result.err)
        if code:
            (line,) = result.err.splitlines()
            assert "unreadable answer from" in line or "cannot be read" in line
