"""Sums by prefix: those of a list of all keys, with few of them held at a time."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from s3pp.report.sums import PrefixSum, PrefixSums
from s3pp.s3.listing import Listed


def listed(keys: list[str]) -> list[Listed]:
    return [Listed(key, len(key), "", "") for key in keys]


def by_hand(keys: list[str], top: str, delimiter: str, depth: int) -> dict[str, PrefixSum]:
    found: dict[str, PrefixSum] = {}
    for key in keys:
        names = key[len(top) :].split(delimiter)
        for level in range(1, min(depth, len(names) - 1) + 1):
            prefix = top + "".join(f"{each}{delimiter}" for each in names[:level])
            _, objects, size = found.get(prefix, (prefix, 0, 0))
            found[prefix] = PrefixSum(prefix, objects + 1, size + len(key))
    return found


@given(
    st.sets(st.text("a/-é", min_size=1, max_size=7), max_size=20),
    st.sampled_from(["", "t/", "t"]),
    st.sampled_from(["/", "a", "-é"]),
    st.integers(0, 4),
    st.integers(1, 20),
)
def test_each_prefix_has_its_sum_once_and_after_those_below_it(
    names: set[str], top: str, delimiter: str, depth: int, length: int
) -> None:
    keys = sorted(top + name for name in names)
    sums, found = PrefixSums(top, delimiter, depth), list[PrefixSum]()
    for at in range(0, len(keys), length):
        found += sums.add(listed(keys[at : at + length]))
        assert len(sums._open) <= depth + 1, "no more are held"
    found += sums.end()
    wanted = by_hand(keys, top, delimiter, depth)
    assert {each.prefix: each for each in found} == wanted
    assert len(found) == len(wanted)
    for number, each in enumerate(found):
        below = [later for later in found[number:] if later.prefix.startswith(each.prefix)]
        assert below == [each]


def test_keys_out_of_order_are_all_counted() -> None:
    sums = PrefixSums("", "/", 1)
    found = [*sums.add(listed(["b/1", "a/1", "b/2"])), *sums.end()]
    assert [(each.prefix, each.objects) for each in found] == [("b/", 1), ("a/", 1), ("b/", 1)]
