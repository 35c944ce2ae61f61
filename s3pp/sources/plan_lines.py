"""The lines of a plan: what is transferred, from where to where, and what was seen there.

::

    Done, of a dry run ──encode──▶ {"operation":"put", …} ──decode──▶ Task, with ``Planned``

Objects are named in full, ``s3://bucket/key``; files of a put relative to their SOURCE, those of a
get relative to DIRECTORY. A line that names anything outside of the places of the plan is refused,
whoever has written it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from s3pp.job import Job
from s3pp.localfs.paths import path_fault
from s3pp.places import Place
from s3pp.records import (
    CopyTask,
    Deleted,
    DeleteReason,
    DeleteTask,
    Dest,
    Done,
    Entry,
    GetTask,
    Planned,
    PutTask,
    SendReason,
    Stamp,
    Task,
)
from s3pp.sources.filters import key_bytes, key_fault, leads_out

Decode = Callable[[Mapping[str, Any]], Task]

R = TypeVar("R", SendReason, DeleteReason)

_FIELDS = frozenset(
    ("operation", "source", "of", "destination", "size", "reason", "seen", "result", "pack")
)
_KINDS = {str: "text", int: "a number", dict: "an object", bool: "true or false"}


class BadLine(Exception):
    """Raised for a line that cannot be executed; ``str()`` says why."""


class PlanLines:
    """Encodes and decodes the lines of the plan of one job."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._start, self._top = f"s3://{job.dest.bucket}/", job.key_prefix
        # A source may lie in another one: then the inner one is meant.
        bases = [(_base(each.path), number) for number, each in enumerate(job.sources)]
        self._bases = sorted(bases, key=lambda each: len(each[0]), reverse=True)
        self._decoders: dict[str, Callable[[Mapping[str, Any]], Task]] = {
            "put": self._put,
            "get": self._get,
            "copy": self._copy,
        }

    # Writing

    def encode(self, done: Done | Deleted) -> dict[str, Any]:
        """Return the line of an object that a dry run would transfer, or delete."""
        foreseen = done.foreseen
        assert foreseen is not None, "it is of a dry run"
        assert foreseen.task is not None, "which writes a plan"
        task = foreseen.task
        if isinstance(task, DeleteTask):
            return self._deletion(task)
        assert isinstance(done, Done), "only a deletion is deleted"
        source, seen = self._describe(done, task)
        line = {"operation": self._job.verb, **source, "destination": self._target(done.target)}
        line |= {"size": task.size, "reason": done.reason.value}
        line["seen"] = {"source": seen, "destination": self._facts(foreseen.dest)}
        if not isinstance(task, GetTask) and done.etag:
            line["result"] = {"size": done.sent, "etag": done.etag}
        return line

    def _deletion(self, task: DeleteTask) -> dict[str, Any]:
        seen: dict[str, Any] = {"etag": task.etag, "modified": task.modified}
        if task.stamp is not None:
            seen = {"stamp": list(task.stamp), "links": task.links}
        line = {"operation": "delete", "destination": self._target(task.target)}
        facts = {"size": task.size, "reason": task.reason.value}
        return {**line, **facts, "seen": {"destination": seen}}

    def _describe(self, done: Done, task: Task) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return how the source is named, and what was seen of it."""
        if isinstance(task, PutTask):
            return self._file(task.entry.path), {"mtime_ns": task.entry.mtime_ns}
        buckets = self._job.buckets
        place = f"s3://{done.source}" if len(buckets) > 1 else f"s3://{buckets[0]}/{done.source}"
        if isinstance(task, GetTask):
            named = {"source": place, "pack": True} if task.pack else {"source": place}
            return named, {"etag": task.etag, "modified": task.modified}
        assert isinstance(task, CopyTask), "a deletion has another line"
        seen = {"etag": task.etag, "storage_class": task.storage_class}
        return {"source": place}, seen

    def _file(self, path: str) -> dict[str, Any]:
        """Return the name of a file, relative to its source, and the number of that."""
        for base, number in self._bases:
            if path.startswith(base) or path == self._job.sources[number].path:
                of = {"of": number} if number else {}
                return {"source": path[len(base) :] if path.startswith(base) else "", **of}
        raise AssertionError("every file is of a source")

    def _target(self, target: str) -> str:
        bucket = self._job.dest.bucket or self._job.buckets[0]
        return target if self._job.verb == "get" else f"s3://{bucket}/{target}"

    def _facts(self, dest: Dest | None) -> dict[str, Any] | None:
        if dest is None:
            return None
        if self._job.verb == "get":
            return {"size": dest.size, "mtime_ns": dest.modified_ns}
        time = {} if dest.modified_ns is None else {"modified_ns": dest.modified_ns}
        return {"size": dest.size, "etag": dest.etag, **time}

    # Reading

    def decode(self, line: Mapping[str, Any]) -> Task:
        """Return the task of a line. Raises ``BadLine``."""
        operation = _field(line, "operation", str)
        if not _FIELDS.issuperset(line):
            unknown = min(set(line) - _FIELDS)
            raise BadLine(f"it has {unknown!r}, which no line of a plan has")
        if operation == "delete" and self._job.deletes:
            return self._delete(line)
        if operation != self._job.verb or operation not in self._decoders:
            raise BadLine(
                f"its operation is {operation!r}, and the plan is one of {self._job.verb}"
            )
        return self._decoders[operation](line)

    def _put(self, line: Mapping[str, Any]) -> PutTask:
        seen = _field(_field(line, "seen", dict), "source", dict)
        time, size = _field(seen, "mtime_ns", int), _field(line, "size", int)
        entry = Entry(self._key(line), self._path(line), size, time, pinned_ns=time)
        return PutTask(entry, None, planned=self._planned(line))

    def _get(self, line: Mapping[str, Any]) -> GetTask:
        seen, size = _field(_field(line, "seen", dict), "source", dict), _field(line, "size", int)
        target = self._file_target(line, size)
        etag, modified = _field(seen, "etag", str), _field(seen, "modified", str)
        pack, planned = _field(line, "pack", bool, False), self._planned(line)
        return GetTask(self._object(line), target, size, etag, modified, pack, planned)

    def _copy(self, line: Mapping[str, Any]) -> CopyTask:
        seen, size = _field(_field(line, "seen", dict), "source", dict), _field(line, "size", int)
        etag, storage_class = _field(seen, "etag", str), _field(seen, "storage_class", str)
        task = CopyTask(self._object(line), self._key(line), size, etag, storage_class, None)
        return task._replace(planned=self._planned(line))

    def _delete(self, line: Mapping[str, Any]) -> DeleteTask:
        size, seen = _field(line, "size", int), _field(line, "seen", dict)
        there = _field(seen, "destination", dict)
        reason = _reason(DeleteReason, _field(line, "reason", str))
        if self._job.verb == "get":
            stamp = _stamp(there.get("stamp"))
            links = _field(there, "links", int) if "links" in there else 1
            return DeleteTask(self._file_target(line, size), size, "", "", reason, stamp, links)
        target = self._removed(line) if self._job.verb == "remove" else self._key(line)
        etag, modified = _field(there, "etag", str), _field(there, "modified", str)
        return DeleteTask(target, size, etag, modified, reason)

    def _removed(self, line: Mapping[str, Any]) -> str:
        """Return the key of an object that a remove names where others have a destination."""
        return self._object({"source": _field(line, "destination", str)})

    def _file_target(self, line: Mapping[str, Any], size: int) -> str:
        """Return the path of a file, relative to DIRECTORY."""
        target: str = _field(line, "destination", str)
        if fault := path_fault(target, size):
            raise BadLine(f"no file can be its destination {target!r}: {fault}")
        return target

    def _planned(self, line: Mapping[str, Any]) -> Planned:
        because = _reason(SendReason, _field(line, "reason", str))
        seen = _field(line, "seen", dict)
        there, result = seen.get("destination"), line.get("result")
        return Planned(
            because,
            None if there is None else self._dest(_field(seen, "destination", dict)),
            None if result is None else _result(_field(line, "result", dict)),
        )

    def _dest(self, facts: Mapping[str, Any]) -> Dest:
        size = _field(facts, "size", int)
        if self._job.verb == "get":
            return Dest(size, "", _field(facts, "mtime_ns", int))
        time = facts.get("modified_ns")
        return Dest(
            size,
            _field(facts, "etag", str),
            None if time is None else _field(facts, "modified_ns", int),
        )

    def _key(self, line: Mapping[str, Any]) -> str:
        """Return the key of a destination in the plan's."""
        named: str = _field(line, "destination", str)
        start = self._start
        key = named.removeprefix(start)
        if not named.startswith(start) or not _is_below(key, self._top):
            place = str(Place(self._job.dest.bucket, self._top))
            raise BadLine(f"its destination {named!r} is not in {place}, where the plan writes")
        if fault := key_fault(key_bytes(key)) if key else "it is empty":
            raise BadLine(f"its destination {named!r} has no key that can be: {fault}")
        return key

    def _path(self, line: Mapping[str, Any]) -> str:
        """Return the path of a file in one of the plan's sources."""
        name: str = _field(line, "source", str)
        number: int = _field(line, "of", int, 0)
        if leads_out(name) or "\0" in name:
            raise BadLine(f"its source {name!r} is not a path in SOURCE")
        if not 0 <= number < len(self._job.sources):
            raise BadLine(f"there is no source number {number}")
        top: str = self._job.sources[number].path
        return os.path.join(top, name) if name else top

    def _object(self, line: Mapping[str, Any]) -> str:
        """Return the name of an object of one of the plan's origins, as tasks have it."""
        buckets = self._job.buckets
        named: str = _field(line, "source", str)
        for origin in self._job.origins:
            start = f"s3://{origin.bucket}/"
            key = named.removeprefix(start)
            in_it = key.startswith(origin.prefix) or key == origin.single
            if named.startswith(start) and key and in_it:
                return f"{origin.bucket}/{key}" if len(buckets) > 1 else key
        places = ", ".join(map(str, self._job.origins))
        raise BadLine(f"its source {named!r} is not in {places}, where the plan reads")


def _base(path: str) -> str:
    """Return what the paths of the files in a source begin with."""
    return "" if path == "." else os.path.join(path, "")


def _is_below(key: str, top: str) -> bool:
    """Return whether a key is ``top``, if that is no directory, or below it."""
    if not top or top.endswith("/"):
        return key.startswith(top)
    return key == top or key.startswith(f"{top}/")


def _reason(kind: type[R], text: str) -> R:
    try:
        return kind(text)
    except ValueError:
        raise BadLine(f"its reason {text!r} is unknown") from None


def _stamp(given: object) -> Stamp:
    if isinstance(given, list) and [type(each) for each in given] == [int] * 3:
        size, mtime, ctime = given
        return size, mtime, ctime
    raise BadLine(f"its 'stamp' is {given!r}, and has to be three numbers")


def _result(facts: Mapping[str, Any]) -> Dest:
    return Dest(_field(facts, "size", int), _field(facts, "etag", str))


def _field(line: Mapping[str, Any], name: str, kind: type[Any], usual: Any = None) -> Any:
    """Return a field of a line. Raises ``BadLine`` if it is missing, or of another kind."""
    value = line.get(name, usual)
    if type(value) is not kind:
        what = "is missing" if value is None else f"is {value!r}"
        raise BadLine(f"its {name!r} {what}, and has to be {_KINDS[kind]}")
    if kind is int and value < 0 and name == "size":
        raise BadLine(f"its size is {value}")
    return value
