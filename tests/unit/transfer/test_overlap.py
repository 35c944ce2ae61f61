"""Source and destination in one bucket: a rule, and a model of what a copy would do without it."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3pp.errors import UsageError
from s3pp.places import Origin, Place, parse_origin, parse_place
from s3pp.transfer.overlap import Overlap, check_moved


def overlap(source: str, dest: str, *, same: bool = True) -> Overlap:
    return Overlap.of(parse_origin(f"s3://bkt{source}"), parse_place(f"s3://bkt{dest}"), same=same)


@pytest.mark.parametrize(
    ("source", "dest"),
    [
        ("", ""),
        ("/*", ""),
        ("/p", "/p"),
        ("/p/", "/p"),
        ("/p", "/p/"),
        ("/p/*", "/p"),
        ("/p/logs*", "/p"),
        ("/logs-2026*", ""),
        ("/p//", "/p//"),
    ],
)
def test_a_copy_onto_itself_is_refused(source: str, dest: str) -> None:
    refusal = overlap(source, dest).refusal
    assert refusal is not None
    assert "s3://bkt/" in refusal


@pytest.mark.parametrize(
    ("source", "dest", "left_out", "copied"),
    [
        ("/p", "/p/old", "p/old/x", "p/older"),
        ("", "/copy", "copy/a/b", "copying"),
        ("/logs*", "/logs-old", "logs-old/logs-1", "logs-1"),
        ("/*", "/a/b", "a/b/", "a/b"),
    ],
)
def test_what_is_below_the_destination_is_left_out_and_said(
    source: str, dest: str, left_out: str, copied: str
) -> None:
    found = overlap(source, dest)
    assert found.refusal is None
    assert found.note is not None
    assert f"s3://bkt{dest}" in found.note
    assert found.excluded(left_out)
    assert not found.excluded(copied)
    assert found.fault(f"{dest[1:]}/x") is None


@pytest.mark.parametrize(
    ("source", "dest", "inside", "outside"),
    [
        ("/p/q", "/p", "p/q/x", "p/x"),
        ("/p", "", "p/x", "q"),
    ],
)
def test_a_target_inside_the_source_fails_by_name(
    source: str, dest: str, inside: str, outside: str
) -> None:
    found = overlap(source, dest)
    assert (found.refusal, found.note) == (None, None)
    fault = found.fault(inside)
    assert fault is not None
    assert inside in fault
    assert found.fault(outside) is None
    assert not found.excluded(inside)


@pytest.mark.parametrize(
    ("source", "dest", "same"),
    [
        ("/p", "/pp", True),
        ("/p", "/q", True),
        ("/pp", "/p", True),
        ("/logs*", "/lo", True),
        ("/a/logs*", "/b", True),
        ("/a/b/logs*", "/a", True),
        ("/p", "/p", False),
        ("/p", "/p/old", False),
        ("/p/q", "/p", False),
    ],
)
def test_what_has_nothing_in_common_is_left_alone(source: str, dest: str, same: bool) -> None:
    assert overlap(source, dest, same=same) == Overlap()


def test_one_object_is_refused_only_onto_itself() -> None:
    origin = parse_origin("s3://bkt/p/q").alone
    assert Overlap.of(origin, Place("bkt", "p"), same=True).refusal
    assert Overlap.of(origin, Place("bkt", "p/q/r"), same=True) == Overlap()
    assert Overlap.of(origin, Place("bkt", ""), same=True) == Overlap()
    assert Overlap.of(parse_origin("s3://bkt/q").alone, Place("bkt"), same=True).refusal


def test_one_object_with_a_name_is_refused_only_onto_itself() -> None:
    origin = replace(parse_origin("s3://bkt/p/q").alone, name="q")
    found = Overlap.of(origin, Place("bkt", "p"), same=True)
    assert found.refusal is not None
    assert "s3://bkt/p/q to s3://bkt/p/q would copy the object onto itself" in found.refusal
    assert Overlap.of(origin, Place("bkt", "p"), same=False) == Overlap()
    assert Overlap.of(replace(origin, name="r"), Place("bkt", "p"), same=True) == Overlap()


# A model: keys of a small alphabet, so that they meet

KEYS = st.text("ab/", min_size=1, max_size=6)
PREFIXES = st.text("ab/", max_size=4)


def places() -> st.SearchStrategy[Place]:
    return PREFIXES.map(lambda prefix: Place("bkt", prefix.removesuffix("/")))


@st.composite
def origins(draw: st.DrawFn) -> Origin:
    prefix, star = draw(PREFIXES), draw(st.sampled_from(["", "*"]))
    origin = parse_origin(f"s3://bkt/{prefix}{star}")
    return origin.alone if origin.single and draw(st.booleans()) else origin


def read(origin: Origin, found: Overlap, key: str) -> bool:
    mine = key == origin.single if origin.prefix == origin.single else key.startswith(origin.prefix)
    return mine and not found.excluded(key)


@given(origins(), places(), st.sets(KEYS, max_size=8))
def test_nothing_that_is_written_is_read(origin: Origin, dest: Place, keys: set[str]) -> None:
    found = Overlap.of(origin, dest, same=True)
    if found.refusal:
        return
    targets = {dest.key(origin.relative(key)) for key in keys if read(origin, found, key)}
    written = {target for target in targets if not found.fault(target)}
    assert not [target for target in written if read(origin, found, target)]


@given(origins(), places(), st.sets(KEYS, max_size=8))
def test_only_what_would_be_read_again_is_held_back(
    origin: Origin, dest: Place, keys: set[str]
) -> None:
    """Without the rule, each of these would be copied onto itself, or a target be a source."""
    found, none = Overlap.of(origin, dest, same=True), Overlap()
    sources = {key for key in keys if read(origin, none, key)}
    for key in sources:
        target = dest.key(origin.relative(key))
        if found.refusal:
            assert target == key
        elif found.fault(target):
            assert read(origin, none, target)
        elif found.excluded(key):
            assert key.startswith(dest.key(""))
            assert read(origin, none, target)


@pytest.mark.parametrize(
    ("origin", "dest", "refused"),
    [
        ("s3://bucket/p", "s3://mine-s3alias/p", True),
        ("s3://bucket/p", "s3://mine-s3alias/p/old", True),
        ("s3://bucket/p/q", "s3://mine-s3alias/p", True),
        ("s3://bucket/p", "s3://mine-s3alias/q", False),
        ("s3://bucket/p", "s3://other/p", False),
        ("s3://bucket/p", "s3://bucket/p", False),
        ("s3://bucket/p", "s3://bucket/p/old", True),
    ],
)
def test_a_move_to_what_may_be_its_source_is_refused(origin: str, dest: str, refused: bool) -> None:
    with pytest.raises(UsageError, match="may overlap, by") if refused else nullcontext():
        check_moved(parse_origin(origin), parse_place(dest))
