"""``--rules``: the attributes of objects by their names."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from commands import Run
from conftest import Tree
from stores.store import Bucket
from trees import Content

RULES = """
[[rule]]
match = "/index.html"
cache-control = "no-cache"

[[rule]]
match = "*.{html,js}"
gzip = true
cache-control = "max-age=60"
content-type = "text/x"

[[rule]]
match = ["old/", "*.nothing"]
storage-class = "STANDARD_IA"
acl = "public-read"
headers.Content-Language = "en"
metadata = { team = "two", own = "x" }
tags = { cost = "2" }
"""
TEXT = b"words " * 500
LARGE = 6 << 20
FILES: dict[str, Content] = {
    "index.html": TEXT,
    "a/index.html": TEXT,
    "b.js": TEXT,
    "old/x.txt": TEXT,
    "old/x.html": TEXT,  # the first rule that matches holds
    "plain.txt": TEXT,
    "large.js": LARGE,
}
WORDS = ["--metadata", "team=one", "--tag", "cost=1", "--header", "Content-Disposition:inline"]
PARTED = ["--multipart-threshold", "5MiB", "--part-size", "5MiB"]


@pytest.fixture
def rules(tmp_path: Path) -> Path:
    path = tmp_path / "rules.toml"
    path.write_text(RULES)
    return path


def labels(bucket: Bucket, key: str) -> dict[str, Any]:
    """What distinguishes the objects of the rules above."""
    head = bucket.head(key)
    return {
        "type": head["ContentType"],
        "cache": head.get("CacheControl"),
        "encoding": head.get("ContentEncoding"),
        "class": head.get("StorageClass"),
        "language": head.get("ContentLanguage"),
        "metadata": head["Metadata"],
        "tags": bucket.tags(key),
    }


def test_each_object_has_what_its_first_rule_says_and_the_command_line(
    s3pp: Run, moto_bucket: Bucket, tree: Tree, rules: Path
) -> None:
    src, url = tree(FILES), f"{moto_bucket.url}/p"
    words = ["--rules", rules, *WORDS, *PARTED]
    planned = s3pp("put", "-n", "--json", *words, src, url)
    encoded = {e["key"] for e in planned.events if e.get("encoding") == "gzip"}
    assert (planned.code, encoded) == (
        0, {"p/a/index.html", "p/b.js", "p/old/x.html", "p/large.js"}
    )  # fmt: skip
    first = s3pp("put", *words, src, url)
    told = f"s3pp: put {src}: pattern '*.nothing' of --rules (line 12) matched nothing"
    assert (first.code, first.counts.done) == (0, 7)
    assert [line.partition(": check")[0] for line in first.err.splitlines()] == [told]
    common = {"metadata": {"team": "one"}, "tags": {"cost": "1"}}
    none = dict.fromkeys(("cache", "encoding", "class", "language"))
    packed = {**none, **common, "type": "text/x", "cache": "max-age=60", "encoding": "gzip"}
    kept = {**none, **common, "type": "text/plain"}
    assert labels(moto_bucket, "p/index.html") == {
        **none, **common, "type": "text/html", "cache": "no-cache"
    }  # fmt: skip
    for key in ("a/index.html", "b.js", "old/x.html", "large.js"):
        assert (key, labels(moto_bucket, f"p/{key}")) == (key, packed)
    assert labels(moto_bucket, "p/plain.txt") == kept
    assert labels(moto_bucket, "p/old/x.txt") == {
        **kept,
        "class": "STANDARD_IA",
        "language": "en",
        "metadata": {"team": "two", "own": "x"},
        "tags": {"cost": "2"},
    }
    assert moto_bucket.head("p/old/x.txt")["ContentDisposition"] == "inline"
    assert moto_bucket.head("p/b.js")["ContentLength"] < len(TEXT)
    # What is compressed is compared with its compressed form; what is not, as it is.
    again = s3pp("put", *words, src, url)
    assert (again.code, again.counts.done, again.counts.skipped) == (0, 0, 7)
    plain = s3pp("put", "--json", *WORDS, *PARTED, src, url)
    sent = {e["key"] for e in plain.events if e["event"] == "done"}
    assert sent == encoded
    back = s3pp("put", "--json", *words, src, url)  # the plain ones are not what the rule wants
    assert {e["key"] for e in back.events if e["event"] == "done"} == encoded


def test_names_are_relative_to_source_whatever_the_key(
    s3pp: Run, moto_bucket: Bucket, tree: Tree, rules: Path
) -> None:
    """A single file is matched by its base name, of several sources each by its own."""
    one, other = tree({"index.html": b"1"}), tree({"index.html": b"2", "b": b"2"}, "other")
    words = ["--rules", rules, "-q"]
    assert s3pp("put", *words, one / "index.html", f"{moto_bucket.url}/p/renamed").code == 0
    assert labels(moto_bucket, "p/renamed")["cache"] == "no-cache"
    (other / "index.html").rename(other / "c.js")
    assert s3pp("put", *words, one, other, f"{moto_bucket.url}/q").code == 0
    caches = {key: labels(moto_bucket, f"q/{key}")["cache"] for key in ("index.html", "b", "c.js")}
    assert caches == {"index.html": "no-cache", "b": None, "c.js": "max-age=60"}


def test_a_plan_has_the_rules_of_its_time(
    s3pp: Run, moto_bucket: Bucket, tree: Tree, rules: Path, tmp_path: Path
) -> None:
    src, plan = tree({"b.js": TEXT, "old/x.txt": TEXT, "y": TEXT}), tmp_path / "plan"
    made = s3pp("put", "-q", "--plan", plan, "--rules", rules, *WORDS, src, moto_bucket.url)
    assert (made.code, moto_bucket.keys()) == (0, [])
    rules.unlink()
    assert s3pp("apply", "-q", "--endpoint-url", moto_bucket.store.url, plan).code == 0
    assert labels(moto_bucket, "b.js")["encoding"] == "gzip"
    assert labels(moto_bucket, "old/x.txt")["metadata"] == {"team": "two", "own": "x"}
    assert labels(moto_bucket, "y")["metadata"] == {"team": "one"}


def test_copies(s3pp: Run, moto_bucket: Bucket, tmp_path: Path) -> None:
    """By the store and in parts; without ``replace`` only what is not the source's own."""
    url = moto_bucket.url
    for key, body in {"s/a.js": b"1", "s/d/a.txt": b"22", "t/b.js": b"333"}.items():
        moto_bucket.put(key, body, ContentType="text/own", CacheControl="own")
    moto_bucket.put_multipart("s/large.js", b"x" * LARGE)
    (tmp_path / "keep.toml").write_text(
        '[[rule]]\nmatch = "/*.js"\nstorage-class = "STANDARD_IA"\ntags.a = "b"\n'
    )
    (tmp_path / "replace.toml").write_text(
        '[[rule]]\nmatch = "/*.js"\ncache-control = "max-age=60"\nmetadata.k = "v"\n'
    )
    words = ["copy", "-q", "--mode", "stupid", "--multipart-threshold", "5MiB", "--part-size=5MiB"]
    run = s3pp(*words, "--rules", tmp_path / "keep.toml", f"{url}/s", f"{url}/t", f"{url}/kept")
    assert run.code == 0, run.err
    found = {
        key: (labels(moto_bucket, f"kept/{key}")["class"], moto_bucket.tags(f"kept/{key}"))
        for key in ("a.js", "b.js", "d/a.txt", "large.js")
    }
    ruled = ("STANDARD_IA", {"a": "b"})
    assert found == {"a.js": ruled, "b.js": ruled, "large.js": ruled, "d/a.txt": (None, {})}
    assert labels(moto_bucket, "kept/a.js")["cache"] == "own"
    replace = ["--rules", tmp_path / "replace.toml", "--metadata-directive", "replace"]
    run = s3pp(*words, *replace, "--metadata", "k=all", f"{url}/s", f"{url}/new")
    assert run.code == 0, run.err
    assert labels(moto_bucket, "new/a.js")["cache"] == "max-age=60"
    assert labels(moto_bucket, "new/large.js")["metadata"] == {"k": "v"}
    assert labels(moto_bucket, "new/d/a.txt")["metadata"] == {"k": "all"}
    run = s3pp(*words, *replace, f"{url}/s/a.js", f"{url}/one/renamed")  # by its own name
    assert (run.code, labels(moto_bucket, "one/renamed")["metadata"]) == (0, {"k": "v"})


def test_a_bad_rule_keeps_the_run_from_starting(
    s3pp: Run, moto_bucket: Bucket, tree: Tree, tmp_path: Path
) -> None:
    bad = tmp_path / "rules.toml"
    bad.write_text(RULES + '\n[[rule]]\nmatch = "x"\nacl = "everybody"\n')
    result = s3pp("put", "--rules", bad, tree({"a": b"1"}), moto_bucket.url)
    assert (result.code, result.out, result.err.count("\n")) == (2, "", 1)
    assert f"--rules '{bad}', line 22: acl: 'everybody' is unknown; choose from" in result.err
    assert moto_bucket.keys() == []
