"""A parser some of whose arguments are secret: its errors quote none of them."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3pp.args.parser import Parser
from s3pp.errors import Misuse, hide, hide_arguments

SECRET = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"


def parser(*, secret: bool = True) -> Parser:
    made = Parser("front", "KEY SECRET BUCKET", "", secret=secret)
    made.add_argument("arguments", nargs="*")
    made.add_argument("--prefix")
    made.add_argument("--threads", type=int)
    made.add_argument("--quick", action="store_true")
    made.add_argument("--verbose", choices=["a", "b"])
    return made


def refusal(*words: str) -> str:
    with pytest.raises(Misuse) as caught:
        parser().parse(words)
    return str(caught.value)


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["--threads", SECRET], "argument --threads: invalid int value: '…'"),
        ([f"--threads={SECRET}"], "argument --threads: invalid int value: '…'"),
        ([f"--quick={SECRET}"], "--quick takes no value: leave out '=…'"),
        (["--verbose", SECRET], "argument --verbose: invalid choice: '…'"),
        ([f"--unknown={SECRET}"], "unrecognized arguments: --unknown=…"),
        ([f"-{SECRET}"], "unrecognized arguments: …"),
        (["KEY", SECRET, "--unknown", "b"], "unrecognized arguments: --unknown"),
        (["KEY", SECRET, "--prefix"], "argument --prefix: expected one argument"),
    ],
)
def test_errors_name_options_and_show_no_values(words: list[str], named: str) -> None:
    message = refusal(*words)
    assert named in message
    assert SECRET not in message


def test_what_cannot_be_a_key_is_shown_and_so_are_choices() -> None:
    """Otherwise a message is destroyed: ``'…' … choose from …, WRITE, …_ACP``."""
    assert "invalid int value: 'many'" in refusal("--threads", "many")
    assert "invalid int value: '1.5'" not in refusal("--threads", "1.5e-2345")
    message = "'0' is not READ, READ_ACP, FULL_CONTROL; 'SeCrEt1'"
    argv = ["-t", "0", "READ", "FULL_CONTROL", "SeCrEt1"]
    assert hide_arguments(message, argv, ["FULL_CONTROL"]) == message.replace("SeCrEt1", "…")


def test_other_parsers_quote_what_is_wrong() -> None:
    with pytest.raises(Misuse, match="invalid int value: 'many'"):
        parser(secret=False).parse(["--threads", "many"])


@given(st.text(min_size=8), st.sampled_from(["--threads={}", "--quick={}", "--unknown={}", "-{}!"]))
def test_no_value_is_ever_shown(value: str, form: str) -> None:
    try:
        parser().parse([form.format(value)])
    except Misuse as error:
        # What is left is the parser's own text, letter by letter.
        own = str(error).replace("…", "")
        assert not re.search(rf"(?<![A-Za-z0-9]){re.escape(value)}(?![A-Za-z0-9])", own)


@pytest.mark.parametrize(
    ("text", "words", "hidden"),
    [
        ("a b", ["b"], "a …"),
        ("ab b", ["b"], "ab …"),
        ("'x\\n'", ["x\n"], "'…'"),
        ("one two", ["one", "one two"], "…"),
        ("as it is", [""], "as it is"),
        ("dots.not", ["dots?not", "dots-not"], "dots.not"),
    ],
)
def test_hidden_words(text: str, words: list[str], hidden: str) -> None:
    assert hide(text, words) == hidden
