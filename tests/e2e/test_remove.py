"""Removing objects: which, in which words, by how many requests, and which never."""

from __future__ import annotations

import json
import re
import time
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

import s3pp
from commands import Result, Run
from conftest import MakeRecorder
from outcomes import says
from stores.store import Bucket, Store

KEYS = ("p", "p-q/a", "p/a b+%2B", "p/d/b", "p/é 漢/<&>", "p/é.x", "pq", "q")
SUMMARY = re.compile(
    r"(?P<verb>remove|would remove) (?P<done>\d+) objects? \((?P<bytes>\d+) bytes?\)"
    r"( in \d+\.\d seconds \(\d+\.\d objects/s\))?(, with (?P<requests>\d+) requests?)?(?P<rest>.*)"
)


@pytest.fixture
def filled(bucket: Bucket) -> Bucket:
    bucket.fill({key: key.encode() for key in KEYS})
    return bucket


def removed(result: Result) -> list[str]:
    """The keys in the lines of ``-v`` or a dry run."""
    return re.findall(r"^delete s3://[^/]+/(.*) \(selected\)$", result.out, re.MULTILINE)


def summary(result: Result) -> dict[str, str]:
    found = SUMMARY.fullmatch(result.summary)
    assert found, result
    return found.groupdict()


PLACES = {
    "/p/": [2, 3, 4, 5],
    "/p*": [0, 1, 2, 3, 4, 5, 6],
    "/q": [7],
    "/p/é.x": [5],
    "/p/d": [3],
}


@pytest.mark.parametrize("place", PLACES)
def test_what_a_place_means(s3pp: Run, filled: Bucket, place: str) -> None:
    chosen = [KEYS[at] for at in PLACES[place]]
    result = s3pp("remove", "-v", filled.url + place)
    assert (result.code, removed(result)) == (0, chosen)
    size = sum(len(key.encode()) for key in chosen)
    counts = summary(result)
    assert (counts["verb"], counts["done"], counts["bytes"]) == (
        "remove",
        str(len(chosen)),
        str(size),
    )
    assert sorted(filled.keys()) == sorted(key for key in KEYS if key not in chosen)


def test_no_command_given_again_deletes_what_it_left_at_first(
    s3pp: Run, moto_bucket: Bucket
) -> None:
    moto_bucket.fill({"p": b"1", "p/a": b"2", "p/b": b"3"})
    unclear = s3pp("remove", f"{moto_bucket.url}/p")
    assert (unclear.code, unclear.out) == (2, "")
    assert f"{moto_bucket.url}/p is an object, and keys are below it: write" in unclear.err
    assert s3pp("remove", f"{moto_bucket.url}/p/").code == 0
    again = s3pp("remove", f"{moto_bucket.url}/p/")
    assert (again.code, summary(again)["done"], moto_bucket.keys()) == (0, "0", ["p"])
    assert s3pp("remove", f"{moto_bucket.url}/p").code == 0
    assert moto_bucket.keys() == []


def test_a_whole_bucket_only_if_that_is_said(s3pp: Run, moto_bucket: Bucket) -> None:
    moto_bucket.fill({"a": b"1", "b/c": b"2"})
    for place in ("", "/", "/*"):
        result = s3pp("remove", moto_bucket.url + place)
        assert (result.code, result.out) == (2, "")
        assert "means the whole bucket: name a PREFIX, or add --all" in result.err
    assert len(moto_bucket.keys()) == 2
    assert s3pp("remove", "--all", moto_bucket.url).code == 0
    assert moto_bucket.keys() == []


def test_filters(s3pp: Run, moto_bucket: Bucket, tmp_path: Path) -> None:
    moto_bucket.fill({"p/old": b"12345", "p/a.tmp": b"1", "p/d/b.tmp": b"12", "p/keep": b"123"})
    time.sleep(1.1)  # the store's times are whole seconds
    now = datetime.now(timezone.utc).isoformat()
    time.sleep(1.1)
    moto_bucket.put("p/new", b"1")

    def dry(*options: object) -> list[str]:
        result = s3pp("remove", "-n", *options, f"{moto_bucket.url}/p")
        assert result.code == 0, result
        return [key.removeprefix("p/") for key in removed(result)]

    assert dry("--include", "*.tmp") == ["a.tmp", "d/b.tmp"]
    assert dry("--exclude", "*.tmp") == ["keep", "new", "old"]
    assert dry("--min-size", "2", "--max-size", "3") == ["d/b.tmp", "keep"]
    assert dry("--newer-than", now) == ["new"]
    assert "new" not in dry("--older-than", now)
    assert dry("--limit", "2") == ["a.tmp", "d/b.tmp"]
    names = tmp_path / "names"
    names.write_text("old\nmissing\nd/b.tmp\n")
    listed = s3pp("remove", "-vv", "--files-from", names, f"{moto_bucket.url}/p")
    assert listed.code == 0, "what is gone already is no failure: the same list may be given again"
    assert removed(listed) == ["p/d/b.tmp", "p/old"]
    assert f"skip {moto_bucket.url}/p/missing (gone already)" in listed.lines
    assert moto_bucket.keys() == ["p/a.tmp", "p/keep", "p/new"]
    again = s3pp("remove", "--files-from", names, f"{moto_bucket.url}/p")
    assert (again.code, summary(again)["rest"]) == (0, ", 3 skipped")


def test_no_more_than_is_allowed(s3pp: Run, moto_bucket: Bucket, tmp_path: Path) -> None:
    moto_bucket.fill({f"p/{number:04}": b"x" for number in range(1100)} | {"q": b"stays"})
    place = f"{moto_bucket.url}/p"
    for most, options in {"1099": (), "99.9%": (), "8%": ("--include", "00*")}.items():
        for dry in ((), ("-n",)):
            refused = s3pp("remove", f"--max-delete={most}", *dry, *options, place)
            count = 100 if options else 1100
            assert refused.code == 3
            why = f"{count} of 1100 objects would be, and --max-delete allows {most}"
            assert refused.err.endswith(f"s3pp: nothing is deleted from {place}: {why}\n")
    assert len(moto_bucket.keys()) == 1101
    part = s3pp("remove", "--max-delete=10%", "--include", "00*", place)
    assert (part.code, summary(part)["done"]) == (0, "100")
    names = tmp_path / "names"
    names.write_text("0100\n0101\n")
    listed = s3pp("remove", "--max-delete=10%", "--files-from", names, place)
    assert (listed.code, listed.out) == (2, "")
    assert "--max-delete 10% has no use with a list or --limit" in listed.err
    assert s3pp("remove", "--max-delete=2", "--files-from", names, place).code == 0
    assert s3pp("remove", "--max-delete=998", place).code == 0
    assert moto_bucket.keys() == ["q"]
    nothing = s3pp("remove", "--max-delete=0", place)
    assert (nothing.code, summary(nothing)["done"]) == (0, "0")


def test_a_dry_run_says_what_it_would_do(s3pp: Run, filled: Bucket) -> None:
    result = s3pp("remove", "-n", "--exit-code", f"{filled.url}/p*")
    assert result.code == 1
    assert removed(result) == list(KEYS[:7])
    size = sum(len(key.encode()) for key in KEYS[:7])
    assert result.table == {"selected": ["delete", "7", str(size), "1"]}
    assert "requests: 1 DeleteObjects; " in result.lines[-2]
    counts = summary(result)
    assert (counts["verb"], counts["done"]) == ("would remove", "7")
    assert sorted(filled.keys()) == sorted(KEYS)
    nothing = s3pp("remove", "-n", "--exit-code", "--include", "none", f"{filled.url}/p*")
    assert nothing.code == 0


def test_records_and_silence(s3pp: Run, moto_bucket: Bucket, tmp_path: Path) -> None:
    etag = moto_bucket.put("p/a", b"content")
    moto_bucket.put("p/b", b"")
    journal = tmp_path / "journal"
    result = s3pp("remove", "--json", "--journal", journal, f"{moto_bucket.url}/p/a")
    deleted, end = result.events
    assert deleted == {
        "event": "deleted",
        "verb": "remove",
        "bucket": moto_bucket.name,
        "key": "p/a",
        "size": 7,
        "reason": "selected",
        "etag": etag,
        "attempts": 1,
    }
    assert (end["verb"], end["listed"], end["deleted"], end["deleted_bytes"]) == ("remove", 1, 1, 7)
    start, *records = map(json.loads, journal.read_text().splitlines())
    assert (start["verb"], start["sources"]) == ("remove", [f"{moto_bucket.url}/p/a"])
    assert "mode" not in start
    assert says(records, [deleted, end])
    quiet = s3pp("remove", "-q", f"{moto_bucket.url}/p")
    assert (quiet.code, quiet.out, quiet.err) == (0, "", "")
    assert moto_bucket.keys() == []


def test_a_thousand_objects_take_one_request(
    s3pp: Run, moto_bucket: Bucket, moto: Store, recorder: MakeRecorder
) -> None:
    moto_bucket.fill({f"p/{number:04}": b"x" for number in range(2100)} | {"p/x\x01y": b"odd"})
    recorded = recorder(moto)
    result = s3pp("remove", f"{moto_bucket.url}/p", store=recorded.store)
    assert (result.code, summary(result)["done"]) == (0, "2101")
    assert moto_bucket.keys() == []
    assert recorded.count("POST", "?delete=") == 3
    assert recorded.count("DELETE") == 1
    # Pages; how the keys lie, for others side by side; a look before each deletion.
    assert recorded.lists <= 3 + 6 + 6


def test_a_bucket_with_versions_gets_markers(
    s3pp: Run, moto_bucket: Bucket, tmp_path: Path
) -> None:
    moto_bucket.client.put_bucket_versioning(
        Bucket=moto_bucket.name, VersioningConfiguration={"Status": "Enabled"}
    )
    moto_bucket.fill({"p/a": b"1", "p/b": b"2", "p/c ": b"3"})
    journal = tmp_path / "journal"
    assert s3pp("remove", "--journal", journal, f"{moto_bucket.url}/p").code == 0
    assert moto_bucket.keys() == []
    found = moto_bucket.client.list_object_versions(Bucket=moto_bucket.name)
    markers = {each["Key"]: each["VersionId"] for each in found["DeleteMarkers"]}
    assert len(found["Versions"]) == 3
    records = map(json.loads, journal.read_text().splitlines())
    named = {each["key"]: each["version_id"] for each in records if each["event"] == "deleted"}
    assert named == markers


def test_names_that_a_document_might_change(s3pp: Run, filled: Bucket) -> None:
    """A store that trims them would delete others."""
    odd = ["o/ a", "o/a ", "o/a\r"]
    if filled.store.name != "moto":  # which cannot keep a newline in a key
        odd.append("o/a\nb")
    filled.fill(dict.fromkeys([*odd, "o/a", "o/ab"], b"odd"))
    names = [part for glob in ("*a?b", "* *", "a?") for part in ("--include", glob)]
    assert s3pp("remove", *names, f"{filled.url}/o").code == 0
    left = [key for key in filled.tree() if key.startswith("o/")]
    assert left == ["o/a"]


def test_the_library_removes(filled: Bucket) -> None:
    store = filled.store
    at: dict[str, Any] = {
        "endpoint_url": store.url,
        "credentials": s3pp.Keys(store.access_key, store.secret_key),
        "region": store.region,
    }
    events: list[dict[str, Any]] = []
    later = datetime.now(timezone.utc) + timedelta(days=1)
    result = s3pp.remove(f"{filled.url}/p/", older_than=later, on_event=events.append, **at)
    assert (result.ok, result.verb, result.deleted) == (True, "remove", 4)
    assert result.deleted_bytes == sum(len(key.encode()) for key in KEYS[2:6])
    deleted = [each["key"] for each in events if each["event"] == "deleted"]
    assert deleted == list(KEYS[2:6])
    with pytest.raises(s3pp.UsageError, match="whole bucket"):
        s3pp.remove(filled.url, **at)
