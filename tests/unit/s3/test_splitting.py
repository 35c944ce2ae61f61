"""Keys as numbers: in order, and back."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from s3pp.s3.splitting import Alphabets, Scale, common_prefix

KEYS = st.lists(st.text("ab09/~é漢", min_size=1, max_size=8), min_size=2, max_size=12, unique=True)


def learned(keys: list[str], prefix: str = "") -> Alphabets:
    alphabets = Alphabets(prefix)
    alphabets.learn(sorted(keys))
    return alphabets


@given(KEYS)
def test_numbers_are_in_the_order_of_the_keys(keys: list[str]) -> None:
    keys.sort()
    scale = Scale(learned(keys), "")
    numbers = [scale.number(key) for key in keys]
    assert numbers == sorted(set(numbers))
    assert numbers[-1] < scale.number(None)


@given(KEYS, st.integers(0, 1000))
def test_a_key_does_not_exceed_its_number(keys: list[str], part: int) -> None:
    scale = Scale(learned(keys), "")
    number = scale.number(None) * part // 1001
    assert scale.number(scale.key(number, 1)) <= number


def test_a_key_is_no_longer_than_it_has_to_be() -> None:
    scale = Scale(learned([f"{at:04}" for at in range(0, 10000, 7)]), "")
    middle = (scale.number("2000") + scale.number("4000")) // 2
    assert scale.key(middle, scale.unit) == "3"
    assert len(scale.key(middle + scale.unit // 3, 1)) > 1


@given(KEYS)
def test_what_does_not_begin_with_the_base_is_at_an_end(keys: list[str]) -> None:
    base = common_prefix(min(keys), max(keys)) + "5"
    scale = Scale(learned([base + key for key in keys]), base)
    assert scale.number(base[:-1] + "4") == 0
    assert scale.number(base[:-1] + "6") == scale.number(None)


def test_the_characters_to_expect() -> None:
    assert learned(["k1", "k7"]).at(0) == "k"
    assert learned(["k1", "k7"]).at(1) == "0123456789"
    assert learned(["1f", "22"]).at(0) == "0123456789abcdef"
    assert learned(["1x", "2f"]).at(0) == "0123456789"
    assert learned(["ax", "bx"]).at(0) == "abcdefghijklmnopqrstuvwxyz"
    assert learned(["漢a", "漢字"]).at(0) == "字漢"
    assert learned(["p/1", "p/2"], "p/").at(2) == "0123456789"


def test_what_was_gone_through_is_known() -> None:
    """From ``10`` on to ``2`` there were all that begin with ``1``: the next place is closed."""
    alphabets = learned(["10", "11", "12", "20"])
    assert alphabets.at(0) == "0123456789"
    assert alphabets.at(1) == "012"


@given(st.text("ab", max_size=5), st.text("ab", max_size=5))
def test_what_is_shared(one: str, other: str) -> None:
    common = common_prefix(one, other)
    assert one.startswith(common)
    assert other.startswith(common)
    assert one[: len(common) + 1] != other[: len(common) + 1] or common in (one, other)
