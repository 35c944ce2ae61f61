"""Shards: each key is in exactly one, for ever the same; and what schedulers say of their tasks."""

from __future__ import annotations

import re
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3pp.args.shards import read_shard
from s3pp.args.verbs import build_job
from s3pp.errors import UsageError
from s3pp.job import Choosing, Job
from s3pp.places import Origin
from s3pp.records import Failed, Skipped, SkipReason
from s3pp.s3.listing import Listed
from s3pp.shard import MOST_SHARDS, Shard, shard_of
from s3pp.sources.filters import filters_of, key_bytes
from s3pp.sources.left_out import OfAnotherShard
from s3pp.sources.objects import choose, choose_found
from s3pp.sources.plan_settings import planned_job, settings_of

KEYS = st.sets(st.text("ab/é\U0001f600\udce9", min_size=1, max_size=4), max_size=12)
COUNTS = st.integers(1, 7)


@given(KEYS, COUNTS)
def test_the_shards_of_any_keys_are_a_partition(keys: set[str], count: int) -> None:
    shards = [Shard(number, count) for number in range(1, count + 1)]
    for key in map(key_bytes, keys):
        assert [each.number for each in shards if each.has(key)] == [shard_of(key, count)]


@given(KEYS, COUNTS)
def test_a_listing_is_split_whole(keys: set[str], count: int) -> None:
    """Page by page, as a list does, and object by object, as walkers do; those of others marked."""
    origin = Origin("bucket")
    page = [Listed(key, 1, "e", "") for key in sorted(keys, key=key_bytes)]
    found: list[Listed] = []
    for number in range(1, count + 1):
        choosing = Choosing(shard=Shard(number, count))
        own = choose(page, origin, filters_of(choosing))
        job = Job("copy", choosing=choosing)
        assert list(choose_found(job, origin, iter(page), filters_of(choosing))) == own
        marking = filters_of(choosing)
        marking.names_others = True
        marked = list(choose_found(job, origin, iter(page), marking))
        assert [each for each in marked if isinstance(each, Listed)] == own
        others = [each for each in marked if isinstance(each, OfAnotherShard)]
        assert {each.source for each in others} == keys - {each.key for each in own}
        assert not any(isinstance(each, Failed) for each in marked)
        found += own
    assert sorted(found, key=lambda each: key_bytes(each.key)) == page


def test_the_hash_is_for_ever() -> None:
    """Journals depend on it, and programs that compute it as ``docs/shards.rst`` says."""
    known = {b"": 1, b"a": 1, b"photos/2026/a.jpg": 5, "é".encode(): 9, b"\xff": 5}
    assert {key: shard_of(key, 10) for key in known} == known


def test_shards_of_usual_keys_are_of_one_size() -> None:
    for names in ("img%05d.jpg", "%d/data", "2026-%04d", "%08x"):
        sizes = Counter(shard_of((names % n).encode(), 10) for n in range(10_000))
        assert 870 < min(sizes.values()) <= max(sizes.values()) < 1130, sizes  # 4 deviations of 30


def slurm(task: int, *, first: int = 0, last: int, step: int = 1, count: int) -> dict[str, str]:
    values = {"ID": task, "MIN": first, "MAX": last, "STEP": step, "COUNT": count}
    return {f"SLURM_ARRAY_TASK_{name}": str(value) for name, value in values.items()}


def batch(index: object, size: object) -> dict[str, str]:
    return {"AWS_BATCH_JOB_ARRAY_INDEX": str(index), "AWS_BATCH_JOB_ARRAY_SIZE": str(size)}


def lsf(index: object, end: object, step: object = 1) -> dict[str, str]:
    names = ("LSB_JOBINDEX", "LSB_JOBINDEX_END", "LSB_JOBINDEX_STEP")
    return dict(zip(names, map(str, (index, end, step)), strict=True))


def sge(task: object, first: object, last: object, step: object = 1) -> dict[str, str]:
    names = ("SGE_TASK_ID", "SGE_TASK_FIRST", "SGE_TASK_LAST", "SGE_TASK_STEPSIZE")
    return dict(zip(names, map(str, (task, first, last, step)), strict=True))


NO_ARRAY = lsf(0, 0, 0) | sge(*["undefined"] * 4)  # which both say in jobs that are none
PBS = {"PBS_ARRAY_INDEX": "2"}
INDEX = {"JOB_COMPLETION_INDEX": "2"}


@pytest.mark.parametrize(
    ("text", "environ", "shard"),
    [
        ("2/4", batch(0, 3), "2/4"),  # what is said goes before what is set
        ("1/1", {}, "1/1"),
        (f"{MOST_SHARDS}/{MOST_SHARDS}", {}, f"{MOST_SHARDS}/{MOST_SHARDS}"),
        ("auto", slurm(0, last=9, count=10), "1/10"),
        ("auto", slurm(10, first=1, last=10, count=10), "10/10"),
        ("auto", slurm(5, first=1, last=7, step=2, count=4), "3/4"),
        ("auto", slurm(3, first=3, last=3, count=1), "1/1"),
        ("auto/10", slurm(3, first=3, last=3, count=1), "4/10"),  # one of ten, submitted again
        ("auto", batch(0, 3), "1/3"),
        ("auto", batch(2, 3), "3/3"),
        ("auto/3", batch(2, 3), "3/3"),
        ("auto/3", INDEX, "3/3"),
        ("auto/3", INDEX | {"SLURM_ARRAY_TASK_ID": ""}, "3/3"),
        ("auto/3", INDEX | NO_ARRAY, "3/3"),
        ("auto/3", PBS, "3/3"),
        ("auto", lsf(1, 10), "1/10"),
        ("auto", lsf(10, 10), "10/10"),
        ("auto", lsf(3, 7, 2), "2/4"),
        ("auto", lsf(3, 8, 2), "2/4"),
        ("auto", {"LSB_JOBINDEX": "3", "LSB_JOBINDEX_END": "4"}, "3/4"),
        ("auto/10", lsf(3, 3), "3/10"),
        ("auto", sge(1, 1, 10), "1/10"),
        ("auto", sge(12, 3, 12), "10/10"),
        ("auto", sge(5, 2, 10, 3), "2/3"),
        ("auto", sge(8, 2, 8, 3), "3/3"),
        ("auto/10", sge(10, 1, 10), "10/10"),
    ],
)
def test_the_shard_of_a_task(text: str, environ: dict[str, str], shard: str) -> None:
    assert str(read_shard(text, environ)) == shard


@pytest.mark.parametrize(
    ("text", "environ", "says"),
    [
        ("", {}, "'' is not of the form K/N, such as 2/4, nor auto or auto/N"),
        ("2", {}, "is not of the form"),
        ("2/4/5", {}, "is not of the form"),
        ("-1/4", {}, "is not of the form"),
        ("0/4", {}, "shards are numbered from 1 to 4"),
        ("5/4", {}, "shards are numbered from 1 to 4"),
        ("1/0", {}, f"there can be 1 to {MOST_SHARDS} shards"),
        (f"1/{MOST_SHARDS + 1}", {}, f"there can be 1 to {MOST_SHARDS} shards"),
        ("auto/0", INDEX, f"there can be 1 to {MOST_SHARDS} shards"),
        ("auto", {}, "auto: this is no task of an array, whose number is in SLURM_ARRAY_TASK_ID, "),
        ("auto", NO_ARRAY, "this is no task of an array"),
        ("auto/4", NO_ARRAY, "LSB_JOBINDEX or SGE_TASK_ID: write --shard K/N"),
        (
            "auto",
            PBS,
            "PBS_ARRAY_INDEX is 2, and no variable says of how many tasks: write",
        ),
        ("auto", {"LSB_JOBINDEX": "2"}, "LSB_JOBINDEX is 2, and no LSB_JOBINDEX_END says of how"),
        ("auto", {"SGE_TASK_ID": "2"}, "SGE_TASK_ID is 2, and no SGE_TASK_LAST says of how"),
        ("auto", lsf(4, 7, 2), "LSB_JOBINDEX=4, LSB_JOBINDEX_END=7, LSB_JOBINDEX_STEP=2 do not"),
        (
            "auto",
            lsf(4, 3),
            "do not number the tasks from 1 to 3 without gaps: write --shard",
        ),
        ("auto", lsf(4, 7, 0), "LSB_JOBINDEX_STEP=0 do not number the tasks from 1 to 7"),
        ("auto", sge(2, 3, 9), "SGE_TASK_LAST=9, SGE_TASK_STEPSIZE=1 do not number the tasks"),
        ("auto", sge(3, 9, 3), "or number them 1 to N and write auto/N"),
        ("auto", sge(3, 1, "undefined"), "SGE_TASK_LAST is 'undefined', which is no number of a"),
        ("auto/2", lsf(2, 3), "LSB_JOBINDEX_END is 3, and the tasks of auto/2 are numbered from 1"),
        (
            "auto/2",
            sge(3, 1, 2),
            "SGE_TASK_ID is 3, and the tasks of auto/2 are numbered from 1",
        ),
        ("auto/2", {"SGE_TASK_ID": "0"}, "the tasks of auto/2 are numbered from 1 to 2"),
        ("auto", PBS | sge(1, 1, 2), "PBS_ARRAY_INDEX and SGE_TASK_ID are set, of which only one"),
        ("auto/4", {}, "this is no task of an array"),
        ("auto", INDEX, "JOB_COMPLETION_INDEX is 2, and no variable says of how many tasks"),
        ("auto", {"AWS_BATCH_JOB_ARRAY_INDEX": "1"}, "no AWS_BATCH_JOB_ARRAY_SIZE says of how"),
        ("auto/2", INDEX, "JOB_COMPLETION_INDEX is 2, and the tasks of auto/2 are numbered from"),
        ("auto/9", slurm(1, first=1, last=9, count=9), "SLURM_ARRAY_TASK_MAX is 9, and the tasks"),
        ("auto", batch("x", 3), "AWS_BATCH_JOB_ARRAY_INDEX is 'x', which is no number of a task"),
        ("auto", batch(3, 3), "AWS_BATCH_JOB_ARRAY_INDEX=3, AWS_BATCH_JOB_ARRAY_SIZE=3 do not"),
        ("auto", batch(0, 0), "do not number the tasks from 0 to"),
        ("auto", slurm(3, first=1, last=7, count=3), "do not number the tasks from 1 to 7 without"),
        ("auto", slurm(2, first=1, last=7, step=2, count=4), "SLURM_ARRAY_TASK_ID=2, SLURM_ARRAY"),
        ("auto", slurm(2, first=1, last=7, step=0, count=4), "SLURM_ARRAY_TASK_STEP=0"),
        ("auto", INDEX | batch(0, 3), "AWS_BATCH_JOB_ARRAY_INDEX and JOB_COMPLETION_INDEX are set"),
    ],
)
def test_what_names_no_shard(text: str, environ: dict[str, str], says: str) -> None:
    with pytest.raises(ValueError, match=re.escape(says)) as refused:
        read_shard(text, environ)
    assert "write " in str(refused.value) or "auto/0" in text or not text.startswith("auto")


def test_the_option_and_where_it_has_no_use(monkeypatch: pytest.MonkeyPatch) -> None:
    assert build_job("put", ["--shard=2/4", "a", "s3://bkt"]).choosing.shard == Shard(2, 4)
    monkeypatch.setenv("JOB_COMPLETION_INDEX", "3")
    planned = build_job("remove", ["--shard=auto/4", "--plan=f", "s3://bkt/p/"])
    assert planned.choosing.shard == Shard(4, 4)
    assert planned_job(Job("apply"), settings_of(planned)).choosing.shard == Shard(4, 4)
    for verb, words, why in (
        ("put", ["-", "s3://bkt/key"], "--shard is about many objects, and '-' is a single one"),
        ("put", ["--shard=2/4", "a", "s3://bkt"], "--shard"),  # twice
        ("verify", ["journal"], "--shard has no effect on a JOURNAL that is verified"),
        ("clean", ["s3://bkt"], "--shard"),
        ("apply", ["plan"], "--shard"),
        ("retry", ["journal"], "--shard"),
    ):
        with pytest.raises(UsageError) as refused:
            build_job(verb, ["--shard=1/4", *words])
        assert why in str(refused.value)


def test_a_name_without_an_object_is_of_one_shard() -> None:
    missing = Skipped("a", "a", 0, SkipReason.GONE)
    kept: list[Listed | Skipped | Failed] = []
    for number in (1, 2, 3):
        job = Job("remove", choosing=Choosing(shard=Shard(number, 3)))
        filters = filters_of(job.choosing)
        kept += choose_found(job, Origin("bucket"), iter([missing]), filters)
    assert kept == [missing]
