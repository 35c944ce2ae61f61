"""--gzip: which objects, which headers, and the same bytes every time."""

from __future__ import annotations

import gzip

from commands import Run
from conftest import Tree
from stores.store import Bucket

TEXT = b"compressible text, " * 500
FILES = {
    "page.html": TEXT,
    "style.css": TEXT,
    "code.js": TEXT,
    "readme.txt": TEXT,
    "empty.txt": b"",
    "plain.bin": TEXT,
    "done.js.gz": gzip.compress(TEXT),
    "image.png": b"\x89PNG\r\n\x1a\n" + TEXT,
}


def encoded(bucket: Bucket) -> set[str]:
    """The keys whose objects carry Content-Encoding: gzip."""
    return {
        key for key in sorted(bucket.keys()) if bucket.head(key).get("ContentEncoding") == "gzip"
    }


def test_the_default_types_are_compressed_and_known_again(
    s3pp: Run, bucket: Bucket, tree: Tree
) -> None:
    src = tree(FILES)
    result = s3pp("put", "--gzip", "--json", src, bucket.url)
    assert (result.code, result.events[-1]["done"]) == (0, len(FILES))
    chosen = {e["key"] for e in result.events[:-1] if e.get("encoding") == "gzip"}
    assert chosen == encoded(bucket) - {"empty.txt"}
    assert chosen - {"empty.txt"} == {"page.html", "style.css", "code.js", "readme.txt"}
    for key, body in bucket.tree().items():
        assert (gzip.decompress(body) if key in chosen else body) == FILES[key]
    assert len(bucket.get("page.html")) < len(TEXT) / 10
    assert bucket.head("page.html")["ContentType"] == "text/html"
    assert bucket.head("code.js")["ContentType"] in ("text/javascript", "application/javascript")
    assert "javascript" not in bucket.head("done.js.gz").get("ContentType", "")
    again = s3pp("put", "--gzip", src, bucket.url)
    assert (again.counts.done, again.counts.skipped) == (0, len(FILES))
    (src / "page.html").write_bytes(TEXT + b"!")
    third = s3pp("put", "--gzip", src, bucket.url)
    assert (third.counts.done, third.counts.skipped) == (1, len(FILES) - 1)
    assert gzip.decompress(bucket.get("page.html")) == TEXT + b"!"


def test_only_the_types_asked_for(s3pp: Run, moto_bucket: Bucket, tree: Tree) -> None:
    result = s3pp(
        "put", "--gzip", "--gzip-type", "text/css", "--gzip-type", "text/plain",
        tree(FILES), moto_bucket.url,
    )  # fmt: skip
    assert result.code == 0
    assert encoded(moto_bucket) - {"empty.txt"} == {"style.css", "readme.txt"}


def test_guess_and_more(s3pp: Run, moto_bucket: Bucket, tree: Tree) -> None:
    src = tree(FILES | {"x.md": TEXT})
    arguments = ["--gzip", "--gzip-type", "guess", "--gzip-type", "text/markdown"]
    assert s3pp("put", *arguments, src, moto_bucket.url).code == 0
    expected = {"page.html", "style.css", "code.js", "readme.txt", "x.md"}
    assert encoded(moto_bucket) - {"empty.txt"} == expected


def test_all_means_all_that_is_not_compressed_already(
    s3pp: Run, bucket: Bucket, tree: Tree
) -> None:
    src = tree(FILES)
    assert s3pp("put", "--gzip", "--gzip-type", "all", src, bucket.url).code == 0
    chosen = encoded(bucket)
    assert chosen - {"empty.txt"} == set(FILES) - {"empty.txt", "done.js.gz", "image.png"}
    assert bucket.get("done.js.gz") == FILES["done.js.gz"]
    assert gzip.decompress(bucket.get("plain.bin")) == TEXT


def test_a_body_too_large_for_memory_is_compressed_too(
    s3pp: Run, moto_bucket: Bucket, tree: Tree
) -> None:
    body = b"0123456789abcdef" * (3 << 20)  # 48 MiB
    src = tree({"big.txt": body})
    assert s3pp("put", "--gzip", src, moto_bucket.url).code == 0
    assert gzip.decompress(moto_bucket.get("big.txt")) == body
    assert s3pp("put", "--gzip", src, moto_bucket.url).counts.skipped == 1


def test_the_summary_counts_the_files_own_bytes(s3pp: Run, moto_bucket: Bucket, tree: Tree) -> None:
    result = s3pp("put", "--gzip", tree({"a.txt": TEXT}), moto_bucket.url)
    assert result.counts.bytes == len(TEXT)
