"""What only the journal says of an object, in addition to its event of ``--json``."""

from __future__ import annotations

from typing import Any

from s3pp.facts import Facts, mtime_text, time_text
from s3pp.records import Deleted, Done, Outcome, Skipped


def with_facts(event: dict[str, Any], outcome: Outcome, now: float) -> dict[str, Any]:
    """Return the line of an outcome, whose ``event`` is what ``--json`` prints.

    ``size`` is that at the destination, ``source_size`` the source's, and ``checksum`` has a value.
    ``now``, in seconds since the epoch, is when an outcome ended that took no time.
    """
    event.pop("checksum_algorithm", None)
    facts = outcome.facts or Facts()
    if isinstance(outcome, (Done, Skipped)) and outcome.upload is None:
        event |= {"size": _size_there(outcome), "source_size": outcome.size}
    found = {"checksum": facts.checksum, "version_id": facts.version, "etag": facts.etag}
    event |= {name: text for name, text in found.items() if text}
    if not isinstance(outcome, Deleted):
        event |= _of_source(facts)
    if facts.file_ns is not None:
        event["mtime"] = mtime_text(facts.file_ns)
    began, ended = facts.began or now, facts.ended or now
    return event | {"began": time_text(began), "ended": time_text(ended)}


def _size_there(outcome: Done | Skipped) -> int:
    if isinstance(outcome, Skipped):
        return outcome.size if outcome.dest_size is None else outcome.dest_size
    facts = outcome.facts
    return outcome.size if facts is None or facts.size is None else facts.size


def _of_source(facts: Facts) -> dict[str, str]:
    if facts.mtime_ns is not None:
        return {"source_mtime": mtime_text(facts.mtime_ns)}
    return {"source_etag": facts.source_etag} if facts.source_etag else {}
