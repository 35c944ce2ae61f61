"""The value of ``--shard``: ``K/N``, or what the scheduler of an array of jobs says of its task.

What each of them says is in its own documentation:

* Slurm: sbatch(1), "OUTPUT ENVIRONMENT VARIABLES". Indices are any from 0, with steps and gaps.
* AWS Batch: user guide, "Job environment variables". Indices begin with 0.
* Kubernetes: "Jobs", "Completion mode". Indices begin with 0.
* PBS Professional: qsub(1B), ``-J X-Y[:Z]``. Indices are any from 0; no variable has the others.
* LSF: bsub, ``-J "name[start-end:step]"``, and "Environment variable reference". Indices are any
  from 1; outside of an array ``LSB_JOBINDEX`` is 0. No variable has the first one: it has to be 1.
* Grid Engine: qsub(1), ``-t n[-m[:s]]``, and "ENVIRONMENTAL VARIABLES". Indices are any from 1;
  outside of an array ``SGE_TASK_ID`` is ``undefined``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from s3pp.shard import MOST_SHARDS, Shard

AUTO_SHARD = "auto"
_INSTEAD = "write --shard K/N"
_FORM = re.compile(r"(?a)(auto|\d{1,9})/(\d{1,9})")


@dataclass(frozen=True)
class Numbering:
    """The variables by which a scheduler numbers the tasks of an array."""

    index: str  # of the task; the others are empty where there is none such
    first: str = ""  # the smallest index; else that is ``base``
    last: str = ""  # the largest one, or the end of its range
    step: str = ""  # between two of them
    count: str = ""  # of the tasks; else ``last`` says it
    base: int = 0  # the smallest index that an array of all shards begins with
    outside: str = ""  # what the variable of the index says where there is no array

    @property
    def names(self) -> tuple[str, ...]:
        """The variables that there are."""
        every = (self.index, self.first, self.last, self.step, self.count)
        return tuple(filter(None, every))

    def numbers(self, environ: Mapping[str, str]) -> bool:
        """Return whether this process is in a task of an array."""
        return environ.get(self.index, "") not in ("", self.outside)


_SCHEDULERS = (
    Numbering(
        "SLURM_ARRAY_TASK_ID",
        first="SLURM_ARRAY_TASK_MIN",
        last="SLURM_ARRAY_TASK_MAX",
        step="SLURM_ARRAY_TASK_STEP",
        count="SLURM_ARRAY_TASK_COUNT",
    ),
    Numbering("AWS_BATCH_JOB_ARRAY_INDEX", count="AWS_BATCH_JOB_ARRAY_SIZE"),
    Numbering("JOB_COMPLETION_INDEX"),
    Numbering("PBS_ARRAY_INDEX"),
    Numbering(
        "LSB_JOBINDEX", last="LSB_JOBINDEX_END", step="LSB_JOBINDEX_STEP", base=1, outside="0"
    ),
    Numbering(
        "SGE_TASK_ID",
        first="SGE_TASK_FIRST",
        last="SGE_TASK_LAST",
        step="SGE_TASK_STEPSIZE",
        base=1,
        outside="undefined",
    ),
)


def read_shard(text: str, environ: Mapping[str, str]) -> Shard:
    """Read ``K/N``, ``auto`` or ``auto/N``. Raises ``ValueError``."""
    found = _FORM.fullmatch(text)
    if text != AUTO_SHARD and found is None:
        raise ValueError(f"{text!r} is not of the form K/N, such as 2/4, nor auto or auto/N")
    count = int(found[2]) if found else None
    if count is not None and not 1 <= count <= MOST_SHARDS:
        raise ValueError(f"{text!r}: there can be 1 to {MOST_SHARDS} shards")
    if found is None or found[1] == AUTO_SHARD:
        return _shard_of_task(environ, count)
    number = int(found[1])
    assert count is not None
    if not 1 <= number <= count:
        raise ValueError(f"{text!r}: shards are numbered from 1 to {count}")
    return Shard(number, count)


def _shard_of_task(environ: Mapping[str, str], count: int | None) -> Shard:
    """Return the shard of the task that this process is in; ``count`` of the tasks, if given."""
    numbering = _find_scheduler(environ)
    values = {name: _whole(name, environ[name]) for name in numbering.names if environ.get(name)}
    if count is None:
        return _counted_by_scheduler(numbering, values)
    first, last = numbering.base, numbering.base + count - 1
    for name in (numbering.last, numbering.index):
        if not first <= values.get(name, first) <= last:
            tasks = f"the tasks of {AUTO_SHARD}/{count} are numbered from {first} to {last}"
            raise ValueError(f"{name} is {values[name]}, and {tasks}: {_INSTEAD}")
    return Shard(values[numbering.index] - first + 1, count)


def _counted_by_scheduler(numbering: Numbering, values: Mapping[str, int]) -> Shard:
    """Return the shard of a task whose scheduler says how many there are."""
    index, step = values[numbering.index], values.get(numbering.step, 1)
    first = values.get(numbering.first, numbering.base)
    count, last = _extent(numbering, values, first, step or 1)
    place, rest = divmod(index - first, step) if step else (0, 1)
    if rest or not 0 <= place < count <= MOST_SHARDS or last != first + (count - 1) * step:
        said = ", ".join(f"{name}={values[name]}" for name in numbering.names if name in values)
        gaps = f"do not number the tasks from {first} to {last} without gaps"
        whole = "1 to N" if numbering.base else "0 to N-1"
        raise ValueError(f"{said} {gaps}: {_INSTEAD}, or number them {whole} and write auto/N")
    return Shard(place + 1, count)


def _extent(
    numbering: Numbering, values: Mapping[str, int], first: int, step: int
) -> tuple[int, int]:
    """Return how many tasks there are, and the largest index."""
    if numbering.count in values:
        count = values[numbering.count]
        return count, values.get(numbering.last, first + (count - 1) * step)
    if not numbering.count and numbering.last in values:  # which a step may not come to
        count = (values[numbering.last] - first) // step + 1
        return count, first + (count - 1) * step
    missing = f"no {numbering.count or numbering.last or 'variable'} says of how many tasks"
    instead = f"write --shard {AUTO_SHARD}/N, where N is their number"
    raise ValueError(f"{numbering.index} is {values[numbering.index]}, and {missing}: {instead}")


def _find_scheduler(environ: Mapping[str, str]) -> Numbering:
    there = [each for each in _SCHEDULERS if each.numbers(environ)]
    if len(there) == 1:
        return there[0]
    names = [each.index for each in there or _SCHEDULERS]
    listed = f"{', '.join(names[:-1])} {'and' if there else 'or'} {names[-1]}"
    if there:
        raise ValueError(f"auto: {listed} are set, of which only one can count: {_INSTEAD}")
    raise ValueError(f"auto: this is no task of an array, whose number is in {listed}: {_INSTEAD}")


def _whole(name: str, text: str) -> int:
    if not re.fullmatch(r"(?a)\d{1,10}", text):
        raise ValueError(f"{name} is {text!r}, which is no number of a task: {_INSTEAD}")
    return int(text)
