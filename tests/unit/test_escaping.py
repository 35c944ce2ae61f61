from __future__ import annotations

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3pp.escaping import name_of, one_line, printable


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("a b/c", "a b/c"),
        ("grün/日本", "grün/日本"),
        ("a\nb\r\t", "a\\nb\\r\\t"),
        ("\x1b[31m\x07\x7f", "\\x1b[31m\\x07\\u007f"),
        ("x\u202ey\u2028", "x\\u202ey\\u2028"),
        ("\x9b", "\\u009b"),
        ("\udcff\udc80", "\\xff\\x80"),
        ("\ud800", "\\ud800"),
        ("\U000e0001", "\\U000e0001"),
        ("a\\n", "a\\\\n"),
    ],
)
def test_printable(name: str, shown: str) -> None:
    assert printable(name) == shown


names = st.text(st.characters() | st.sampled_from("\\nrtxu0f1b\n\x1b\xff\udcff"), max_size=6)


@given(names)
def test_always_one_printable_line_that_can_be_encoded(name: str) -> None:
    for shown in (printable(name), one_line(name)):
        assert shown.isprintable()
        shown.encode()


@given(names, names)
def test_no_two_names_look_the_same(one: str, other: str) -> None:
    assert (printable(one) == printable(other)) == (one == other)


@given(st.binary(min_size=1, max_size=8))
def test_any_file_name(raw: bytes) -> None:
    shown = printable(os.fsdecode(raw))
    assert shown.isprintable()
    assert name_of(shown) == os.fsdecode(raw)


@given(names)
def test_names_are_read_from_their_text_and_from_no_other(text: str) -> None:
    try:
        name = name_of(text)
    except ValueError:
        return
    assert printable(name) == text
    assert os.fsdecode(os.fsencode(name)) == name


@pytest.mark.parametrize(
    "text", ["a\\", "\\x41", "\\xc3\\xa9", "\\u20ac", "\\ud800", "a\t", "\\Uffffffff"]
)
def test_what_no_name_looks_like(text: str) -> None:
    with pytest.raises(ValueError, match=r"is no escaped name|surrogate"):
        name_of(text)


def test_messages_keep_their_backslashes() -> None:
    assert one_line("C:\\x\ny") == "C:\\x\\ny"
