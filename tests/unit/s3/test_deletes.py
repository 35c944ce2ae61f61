"""DeleteObjects and DeleteObject: what is sent, and how each key's answer is read."""

from __future__ import annotations

from base64 import b64encode
from hashlib import md5
from xml.sax.saxutils import escape

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3pp.errors import FailureKind, ObjectError
from s3pp.s3.answers import parse_entries
from s3pp.s3.deletes import (
    LATE,
    DeletedKey,
    DeleteRequests,
    Pinned,
    fits_batch,
    request_body,
)
from s3pp.s3.exchange import Response, WireError
from s3pp.s3.retry import StoreError

from .test_client import TIMEOUT, Script, run, said

A, B, C = Pinned("p/a"), Pinned("p/b"), Pinned("p/c")
SLOW = "<Error><Key>{}</Key><Code>SlowDown</Code><Message>wait</Message></Error>"
names = st.text(st.characters(codec="utf-8"), min_size=1)


def plain(*keys: str) -> str:
    return "".join(f"<Deleted><Key>{escape(key)}</Key></Deleted>" for key in keys)


def error(key: str, code: str) -> str:
    return f"<Error><Key>{key}</Key><Code>{code}</Code><Message>no</Message></Error>"


def result(*entries: str) -> Response:
    head = '<?xml version="1.0"?><DeleteResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
    return said(200, body=f"{head}{''.join(entries)}</DeleteResult>".encode())


def requests(script: Script, **more: int) -> DeleteRequests:
    return DeleteRequests(script.bucket(**more))


@given(st.lists(names.filter(fits_batch), min_size=1, unique=True), st.booleans())
def test_a_request_names_each_key_as_it_is(keys: list[str], pinned: bool) -> None:
    pin = '"0c&"' if pinned else ""
    document = parse_entries(request_body([Pinned(key, pin) for key in keys]), "Object")
    assert [each["Key"] for each in document.entries] == keys
    assert {each.get("ETag") for each in document.entries} == {pin or None}
    assert (document.root, document.leaves["Quiet"]) == ("Delete", "false")


@given(names)
def test_keys_that_xml_may_change_do_not_fit(key: str) -> None:
    document = f"<a>{escape(key)}</a>".encode()
    if fits_batch(key):
        assert parse_entries(b"<b>" + document + b"</b>", "").leaves["a"] == key
    for odd in (f" {key}", f"{key}\r", f"{key}\x01", f"\u00a0{key}"):
        assert not fits_batch(odd)


def test_a_batch_is_one_request_with_its_digest() -> None:
    script = Script(result(plain("p/a", "p/b")))
    answer = run(requests(script).delete_many([A, Pinned("p/b", '"e"')]))
    assert answer.deleted == {"p/a": DeletedKey(), "p/b": DeletedKey()}
    assert not answer.refused
    (sent,) = script.sent
    assert (sent.method, sent.url.rpartition("/")[2]) == ("POST", "bucket?delete=")
    assert sent.patience == LATE
    body = sent.body
    assert isinstance(body, bytes)
    digest = b64encode(md5(body, usedforsecurity=False).digest()).decode()
    assert script.header(0, "content-md5") == digest


def test_markers_and_errors_are_read_whatever_their_order() -> None:
    marked = (
        "<Deleted><DeleteMarker>true</DeleteMarker><VersionId/>"
        "<DeleteMarkerVersionId>v1</DeleteMarkerVersionId><Key>p/a</Key></Deleted>"
    )
    script = Script(result(error("p/b", "AccessDenied"), marked, plain("p/other")))
    answer = run(requests(script).delete_many([A, B, C]))
    assert answer.deleted == {"p/a": DeletedKey("v1")}
    assert answer.refused["p/b"].kind is FailureKind.ACCESS
    assert set(answer.refused) == {"p/b"}  # nothing is known of C


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("AccessDenied", FailureKind.ACCESS),
        ("PreconditionFailed", FailureKind.REJECTED),
        ("NoSuchKey", FailureKind.NOT_FOUND),
        ("InvalidObjectState", FailureKind.REJECTED),
    ],
)
def test_a_lasting_error_is_the_keys(code: str, kind: FailureKind) -> None:
    script = Script(result(plain("p/a"), error("p/b", code)))
    answer = run(requests(script).delete_many([A, B]))
    assert (answer.refused["p/b"].kind, answer.refused["p/b"].code) == (kind, code)
    assert len(script.sent) == 1


def test_a_key_in_both_lists_was_refused() -> None:
    script = Script(result(plain("p/a"), error("p/a", "AccessDenied")))
    answer = run(requests(script).delete_many([A]))
    assert not answer.deleted
    assert set(answer.refused) == {"p/a"}


def test_keys_with_passing_errors_are_sent_again() -> None:
    script = Script(
        result(plain("p/a"), error("p/b", "InternalError"), error("p/c", "SlowDown")),
        result(plain("p/b"), error("p/c", "InternalError")),
        result(plain("p/c")),
    )
    answer = run(requests(script).delete_many([A, B, C]))
    attempts = {key: each.attempts for key, each in answer.deleted.items()}
    assert attempts == {"p/a": 1, "p/b": 2, "p/c": 3}
    assert not answer.refused
    assert [b"p/a" in each.body for each in script.sent if isinstance(each.body, bytes)] == [
        *(True, False, False)
    ]
    assert len(script.slept) == 2


def test_in_the_end_a_passing_error_is_the_keys() -> None:
    script = Script(*[result(error("p/a", "InternalError"))] * 3)
    answer = run(requests(script, attempts=3).delete_many([A]))
    assert answer.refused["p/a"].kind is FailureKind.STORE
    assert len(script.sent) == 3


def test_what_a_lost_answer_may_have_deleted_counts_as_deleted() -> None:
    """On condition, a key that is gone is an error; but it was this request that deleted it."""
    script = Script(WireError(TIMEOUT, ""), result(error("p/a", "NoSuchKey")))
    answer = run(requests(script).delete_many([Pinned("p/a", '"e"')]))
    assert answer.deleted == {"p/a": DeletedKey("", 2)}


def test_an_answer_that_is_cut_is_asked_for_again() -> None:
    whole = result(plain("p/a"))
    script = Script(whole._replace(body=whole.body[:-9]), whole)
    assert run(requests(script).delete_many([A])).deleted == {"p/a": DeletedKey("", 2)}


def test_an_answer_that_is_no_xml_deletes_nothing() -> None:
    script = Script(said(200, body=b"<Deleted </DeleteResult>"))
    with pytest.raises(ObjectError, match="cannot be read"):
        run(requests(script).delete_many([A]))


def test_a_refusal_of_all_is_raised() -> None:
    with pytest.raises(StoreError, match="NotImplemented"):
        run(requests(Script(said(501, "NotImplemented"))).delete_many([A]))


def test_a_single_key() -> None:
    marked = said(204, "", b"x-amz-delete-marker: true\r\n", b"x-amz-version-id: v2\r\n")
    script = Script(marked, said(204), said(204, "", b"x-amz-version-id: v3\r\n"))
    assert run(requests(script).delete("a b", pin='"e"')) == DeletedKey("v2")
    assert (script.sent[0].method, script.header(0, "if-match")) == ("DELETE", '"e"')
    assert script.sent[0].url.endswith("/a%20b")
    assert run(requests(script).delete("a")) == DeletedKey()
    assert script.header(1, "if-match") is None
    assert run(requests(script).delete("a")) == DeletedKey()  # a version that is no marker


def test_a_single_key_that_a_lost_answer_may_have_deleted() -> None:
    script = Script(WireError(TIMEOUT, ""), said(404, "NoSuchKey"), said(404, "NoSuchKey"))
    assert run(requests(script).delete("a", pin='"e"')) == DeletedKey("", 2)
    with pytest.raises(StoreError, match="NoSuchKey"):
        run(requests(script).delete("a", pin='"e"'))
