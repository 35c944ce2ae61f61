"""The report of a run, of its journal, and its metrics: what a user finds after a run."""

from __future__ import annotations

import fcntl
import gzip
import json
import os
import shutil
import stat
import struct
import subprocess
import time
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest

from commands import Run, Start
from conftest import Tree
from pages import read_page
from stores.store import Bucket, Store

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
HOSTILE = "<script>alert(1)<!-- é&\"' \x1b[31m"
SHORT = 120.0  # seconds that a browser may take to start


def wait_for(met: Callable[[], bool], timeout: float = 60.0) -> None:
    deadline = time.monotonic() + timeout
    while not met():
        assert time.monotonic() < deadline, "it does not come about"
        time.sleep(0.02)


def prom(path: Path, name: str) -> float:
    (value,) = [
        line.rpartition(" ")[2] for line in path.read_text().splitlines() if line.startswith(name)
    ]
    return float(value)


def test_a_run_and_its_journal_give_the_same_page(
    s3pp: Run, moto_bucket: Bucket, tree: Tree, tmp_path: Path
) -> None:
    """Of a run with a failure; then one without, which is compared with it."""
    src = tree({"a": b"1" * 5000, HOSTILE: b"2"})
    (src / "broken").symlink_to("nowhere")
    page, journal, metrics = (tmp_path / name for name in ("page.html", "run.jsonl", "m.prom"))
    made = tmp_path / "run.jsonl.html"
    words = (
        "put",
        "--journal",
        journal,
        "--report",
        page,
        "--metrics",
        metrics,
        src,
        moto_bucket.url,
    )
    assert s3pp(*words).code == 1
    assert s3pp("report", journal).out == f"report: {made}\n"
    assert page.read_bytes() == made.read_bytes()
    read = read_page(page.read_text())
    assert "Completed, 1 failed (exit code 1)" in read.text
    assert "1 × not-found" in read.text
    assert "<script>alert(1)<!-- é&\"' \\x1b[31m" in read.text
    assert str(src) in read.text
    assert (prom(metrics, "s3pp_last_exit_code"), prom(metrics, "s3pp_run_active")) == (1, 0)
    assert "s3pp_last_success_time_seconds{" not in metrics.read_text()
    modes = [stat.S_IMODE(path.stat().st_mode) for path in (page, made, metrics)]
    assert modes == [0o600, 0o600, 0o644]
    # The second run skips what is there; only its report is readable for others from now on.
    (src / "broken").unlink()
    page.chmod(0o644)
    assert s3pp(*words).code == 0
    assert stat.S_IMODE(page.stat().st_mode) == 0o644
    assert prom(metrics, "s3pp_last_success_time_seconds{") > 1.7e9
    second = s3pp("report", "-o", "-", journal)
    text = read_page(second.out).text
    assert "Difference from the run before" in text
    assert "failed 1 0 -100%" in text
    assert "same etag skipped 2" in text
    ids = [json.loads(line)["run"] for line in journal.read_text().splitlines() if "start" in line]
    first = s3pp("report", "--run", ids[0][:6], "-o", "-", journal).out
    assert "Completed, 1 failed" in read_page(first).text
    assert "s3pp report --run ID JOURNAL" in first


def test_a_report_without_a_journal_of_every_verb(
    s3pp: Run, moto_bucket: Bucket, tree: Tree, tmp_path: Path
) -> None:
    src, page = tree({"a": b"1", "b": b"2"}), tmp_path / "page.html"
    report = ("--report", page)
    url = moto_bucket.url
    runs = {
        "would put": ("put", "-n", *report, src, url),
        "put": ("put", *report, src, url),
        "get": ("get", *report, url, tmp_path / "got"),
        "copy": ("copy", *report, url, f"{url}/copies"),
        "verify": ("verify", *report, src, url),
        "move": ("move", *report, f"{url}/copies", f"{url}/moved"),
        "stream": ("get", *report, f"{url}/a", "-"),
        "clean": ("clean", *report, url),
        "remove": ("remove", *report, f"{url}/moved"),
    }
    for name, words in runs.items():
        assert s3pp(*words).code in ((0, 1) if name == "verify" else (0,)), name
        text = read_page(page.read_text()).text
        assert f"s3pp {words[0]}: " in text
        assert ("This was a dry run" in text) == (name == "would put")
        assert "exit code" in text


def test_what_is_no_file_of_ours_is_refused_and_kept(
    s3pp: Run, moto_bucket: Bucket, tree: Tree, tmp_path: Path
) -> None:
    src, other, gone = tree({"a": b"1"}), tmp_path / "notes.txt", tmp_path / "gone"
    other.write_text("mine")
    for option, path, why in (
        ("--report", other, "it is no report of s3pp, and is not replaced"),
        ("--metrics", other, "it is no file of --metrics, and is not replaced"),
        ("--report", tmp_path, "it is a directory"),
        ("--report", gone / "r", "is not a directory"),
        ("--metrics", src / "m", "lies in SOURCE"),
        ("--report", "-", "written to a file"),
    ):
        refused = s3pp("put", option, path, src, moto_bucket.url)
        assert (refused.code, why in refused.err, refused.err.count("\n")) == (2, True, 1), (
            refused.err
        )
    assert other.read_text() == "mine"
    assert not moto_bucket.keys()
    same = ("--report", tmp_path / "x", "--metrics", tmp_path / "x")
    assert "the same file" in s3pp("put", *same, src, moto_bucket.url).err


def test_what_cannot_be_written_at_the_end_changes_no_exit_code(
    s3pp_start: Start, moto: Store, moto_bucket: Bucket, tmp_path: Path
) -> None:
    """Their directory is gone by then."""
    gone, (read, write) = tmp_path / "gone", os.pipe()
    gone.mkdir()
    files = ("--report", gone / "r.html", "--metrics", gone / "m.prom")
    running = s3pp_start("put", *files, "-", f"{moto_bucket.url}/k", store=moto, stdin=read)
    wait_for((gone / "m.prom").exists)
    os.close(read)
    shutil.rmtree(gone)
    os.write(write, b"body")
    os.close(write)
    ended = running.wait()
    assert ended.code == 0
    for option in ("--report", "--metrics"):
        assert f"{option} " in ended.err
    assert ended.err.count("cannot be written: No such file or directory") == 2
    assert moto_bucket.keys() == ["k"]


def test_metrics_of_a_run_that_could_not_start(
    s3pp: Run, moto_bucket: Bucket, tree: Tree, tmp_path: Path
) -> None:
    metrics = tmp_path / "m.prom"
    words = ("put", "--metrics", metrics)
    assert s3pp(*words, "-n", tree({"a": b"1"}), moto_bucket.url).code == 0
    assert not metrics.exists()
    for sources, code in ((tmp_path / "nothing", 2), (tree({"a": b"1"}), 0)):
        assert s3pp(*words, sources, moto_bucket.url).code == code
        assert prom(metrics, "s3pp_last_exit_code") == code
    assert s3pp(*words, tree({"a": b"1"}), "s3://missing-bucket-of-nobody").code != 0
    assert prom(metrics, "s3pp_last_exit_code") in (2, 3)
    assert os.listdir(tmp_path).count("m.prom") == 1


def test_a_run_that_could_not_begin_says_so_on_its_page(
    s3pp: Run, moto_bucket: Bucket, tree: Tree, tmp_path: Path
) -> None:
    """Nothing of the run before is left there, and no file of others is replaced."""
    page, other = tmp_path / "page.html", tmp_path / "other"
    source = tree({"a": b"1"})
    assert s3pp("put", "--report", page, source, moto_bucket.url).code == 0
    assert "Completed" in page.read_text()
    for words, why in (
        ((tmp_path / "nothing", moto_bucket.url), "nothing"),
        ((source, "s3://missing-bucket-of-nobody"), "missing-bucket-of-nobody"),
    ):
        refused = s3pp("put", "--report", page, *words)
        text = read_page(page.read_text()).text
        assert refused.code in (2, 3)
        assert f"It did not begin (exit code {refused.code}): " in text
        assert why in text
        assert "Completed" not in text
    other.write_text("mine")
    assert s3pp("put", "--report", other, source, moto_bucket.url).code == 2
    assert other.read_text() == "mine"
    lock = tmp_path / "lock"
    assert s3pp("put", "--report", page, source, moto_bucket.url).code == 0
    with lock.open("a") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        locked = (f"--lock={lock}", "--if-locked=fail", "--report", page)
        assert s3pp("put", *locked, source, moto_bucket.url).code == 3
    assert "Completed" in page.read_text(), "it is the page of the run that holds the lock"


def test_wrong_words_of_a_report_say_what_is_right(s3pp: Run, tmp_path: Path) -> None:
    journal, other = tmp_path / "j", tmp_path / "other"
    journal.write_text('{"event":"start","run":"0123456789ab","schema":2,"verb":"put"}\n')
    other.write_text("mine")
    (twin := tmp_path / "twin").hardlink_to(journal)
    (empty := tmp_path / "empty").touch()
    (packed := tmp_path / "packed").write_bytes(gzip.compress(journal.read_bytes()))
    for words, why in (
        ((), "name a JOURNAL"),
        ((tmp_path / "missing",), "file not found"),
        ((tmp_path,), "not a regular file"),
        ((empty,), "no run is in there"),
        ((other,), "is not a journal: name a file of --journal"),
        ((journal, packed), "is compressed: unpack it with gunzip"),
        ((journal, twin), "are one file: name it once"),
        (("-o", other, journal), "is not replaced"),
        (("-o", tmp_path / "no" / "where", journal), "is not a directory"),
        (("--run", "ff", journal), "no run has an id"),
        (("--html", journal), "not an option"),
    ):
        wrong = s3pp("report", *words)
        assert (wrong.code, why in wrong.err, wrong.err.count("\n")) == (2, True, 1), wrong.err
    assert other.read_text() == "mine"


def browse(page: Path, *options: str) -> subprocess.CompletedProcess[bytes]:
    """Open a page in headless Chromium, with a profile of its own."""
    assert CHROMIUM is not None
    words = ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage")
    profile = f"--user-data-dir={page.parent / 'profile'}"
    command = (CHROMIUM, *words, profile, *options, page.as_uri())
    return subprocess.run(command, check=True, capture_output=True, timeout=SHORT)


def first_pixel(image: Path) -> tuple[int, ...]:
    """The color of the upper left corner of a PNG."""
    data = image.read_bytes()
    rows, at = b"", 8
    while at < len(data):
        length, kind = struct.unpack(">I4s", data[at : at + 8])
        rows += data[at + 8 : at + 8 + length] if kind == b"IDAT" else b""
        at += 12 + length
    return tuple(zlib.decompress(rows)[1:4])  # after the filter, which has nothing to add there


@pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")
def test_a_browser_shows_it_dark_and_light_and_prints_it(
    s3pp: Run, moto_bucket: Bucket, tree: Tree, tmp_path: Path
) -> None:
    page = tmp_path / "page.html"
    src = tree({"a": b"1", HOSTILE: b"2"})
    assert s3pp("put", "--report", page, src, moto_bucket.url).code == 0
    shown = browse(page, "--dump-dom", "--enable-logging=stderr", "--v=0")
    read = read_page(shown.stdout.decode())
    assert read.text == read_page(page.read_text()).text  # no script has changed it
    assert b"Content Security Policy" not in shown.stderr
    assert b"CONSOLE" not in shown.stderr
    colors = {}
    for name, number in (("dark", 0), ("light", 1)):
        image = tmp_path / f"{name}.png"
        browse(page, f"--screenshot={image}", f"--blink-settings=preferredColorScheme={number}")
        colors[name] = sum(first_pixel(image))
    assert colors["dark"] < 150
    assert colors["light"] > 600
    browse(page, f"--print-to-pdf={tmp_path / 'page.pdf'}")
    assert (tmp_path / "page.pdf").read_bytes().startswith(b"%PDF-")
