from __future__ import annotations

import json
from dataclasses import replace

import pytest

from s3pp.errors import FailureKind, Kept
from s3pp.job import Job
from s3pp.places import parse_origin, parse_place
from s3pp.records import Done, Failed, SendReason, Skipped, SkipReason
from s3pp.report.lines import Lines

from .samples import DONE, FAILED, SAME, job

LINES = Lines.of(job())


def test_text() -> None:
    assert LINES.text(DONE) == "put a/b.txt -> s3://bkt/p/a/b.txt (new)"
    assert LINES.text(SAME) == "skip a/c -> s3://bkt/p/a/c (same etag)"
    assert LINES.text(FAILED) == "put a/d -> s3://bkt/p/a/d: permission denied"


def test_what_is_kept_follows_the_cause() -> None:
    kept = FAILED._replace(kept=Kept.STUCK_PARTS)
    message = "permission denied; its parts stay in the store (s3pp clean removes them)"
    assert LINES.text(kept).endswith(f": {message}")
    assert LINES.event(kept)["message"] == message


def test_text_is_one_line_whatever_the_name() -> None:
    failed = Failed("a\n\x1b[2J", "k\n\udcff", FailureKind.NAME, "not UTF-8:\n\x07")
    assert LINES.text(failed) == r"put a\n\x1b[2J -> s3://bkt/k\n\xff: not UTF-8:\n\x07"


def test_events() -> None:
    assert LINES.event(DONE) == {
        "event": "done",
        "verb": "put",
        "source": "a/b.txt",
        "bucket": "bkt",
        "key": "p/a/b.txt",
        "size": 5,
        "sent": 4,
        "etag": "0cc1",
        "reason": "new",
        "attempts": 1,
    }
    assert LINES.event(SAME) == {
        "event": "skipped",
        "verb": "put",
        "source": "a/c",
        "bucket": "bkt",
        "key": "p/a/c",
        "size": 7,
        "reason": "same etag",
    }
    assert LINES.event(DONE._replace(encoding="gzip"))["encoding"] == "gzip"
    taken = SAME._replace(reason=SkipReason.OTHER_SIZE, dest_size=9)
    assert LINES.event(taken) == LINES.event(SAME) | {"reason": taken.reason.value, "dest_size": 9}
    assert LINES.event(FAILED) == {
        "event": "failed",
        "verb": "put",
        "source": "a/d",
        "bucket": "bkt",
        "key": "p/a/d",
        "kind": "unreadable",
        "message": "permission denied",
    }


def test_a_dry_run_says_so_in_every_event() -> None:
    lines = Lines.of(job(dry_run=True))
    assert [lines.event(outcome)["dry_run"] for outcome in (DONE, SAME, FAILED)] == [True] * 3
    assert (lines.event(DONE)["sent"], Lines.of(job()).event(DONE)["sent"] > 0) == (0, True)


def test_json_is_one_ascii_line_and_gives_the_name_back() -> None:
    name = "ü\n\udcff\u2028"
    line = LINES.json(Done(name, name, 1, 1, "", SendReason.ALWAYS))
    assert line.isascii()
    assert "\n" not in line
    event = json.loads(line)
    assert (event["source"], event["key"]) == (name, name)


# The other two directions

GET = Job("get", origins=(parse_origin("s3://bkt/p"),), directory="d/e")
GOT = Done("p/a/b", "a/b", 5, 5, "0cc1", SendReason.NEW)
COPY = Job("copy", origins=(parse_origin("s3://from/p"),), dest=parse_place("s3://into/q"))
COPIED = Done("p/a", "q/a", 5, 5, "0cc1", SendReason.ETAG)


def test_text_of_a_get() -> None:
    lines = Lines.of(GET)
    assert lines.text(GOT) == "get s3://bkt/p/a/b -> d/e/a/b (new)"
    same = Skipped("p/a", "a", 1, SkipReason.OTHER_SIZE)
    assert lines.text(same) == "skip s3://bkt/p/a -> d/e/a (exists with another size)"
    failed = Failed("p/..", "..", FailureKind.NAME, "leads elsewhere")
    assert lines.text(failed) == "get s3://bkt/p/.. -> d/e/..: leads elsewhere"


@pytest.mark.parametrize(
    ("directory", "path"),
    [("d", "d/a"), ("d/", "d/a"), (".", "./a"), ("/", "/a"), ("d\n", r"d\n/a")],
)
def test_a_file_is_named_as_the_directory_was(directory: str, path: str) -> None:
    lines = Lines.of(replace(GET, directory=directory))
    assert lines.text(GOT._replace(target="a")) == f"get s3://bkt/p/a/b -> {path} (new)"


def test_events_of_a_get_name_the_object_and_the_file() -> None:
    event = Lines.of(GET).event(GOT)
    assert event == {
        "event": "done",
        "verb": "get",
        "source": "s3://bkt/p/a/b",
        "bucket": "bkt",
        "key": "p/a/b",
        "path": "d/e/a/b",
        "size": 5,
        "sent": 5,
        "etag": "0cc1",
        "reason": "new",
        "attempts": 1,
    }


def test_a_copy_names_both_ends() -> None:
    lines = Lines.of(COPY)
    assert lines.text(COPIED) == "copy s3://from/p/a -> s3://into/q/a (etag differs)"
    event = lines.event(COPIED)
    assert (event["verb"], event["source"]) == ("copy", "s3://from/p/a")
    assert (event["bucket"], event["key"]) == ("into", "q/a")
    assert "path" not in event


@pytest.mark.parametrize("job", [GET, COPY], ids=["get", "copy"])
def test_names_come_back_whatever_they_are(job: Job) -> None:
    name = "ü\n\x1b\u2028"
    outcome = Done(f"p/{name}", name, 1, 1, "", SendReason.ALWAYS)
    lines = Lines.of(job)
    assert "\n" not in lines.text(outcome)
    assert "\x1b" not in lines.text(outcome)
    event = json.loads(lines.json(outcome))
    assert event["source"].endswith(f"p/{name}")
    assert (event.get("path") or event["key"]).endswith(name)
