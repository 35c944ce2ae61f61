"""Voices: lines of their own for a run, by name, and s3pp's for what they leave out."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import pytest

from report.samples import ALL, DONE, FAILED, SAME, job
from s3pp import app
from s3pp.errors import ExitStatus
from s3pp.job import Job
from s3pp.pipeline import runs
from s3pp.places import Source
from s3pp.records import Done, Outcome
from s3pp.report.outlet import Streams
from s3pp.report.recorder import Recorder
from s3pp.report.totals import RunReport, Totals
from s3pp.report.voice import NOTHING, Rendered, Voice, notice_lines, voice_of

NAME = f"{__name__}:Loud"


class Loud(Voice):
    """Says everything that a voice can say."""

    beats = 0

    def start(self) -> Rendered:
        return Rendered(["START"])

    def outcome(self, outcome: Outcome) -> Rendered | None:
        if not isinstance(outcome, Done):
            return None
        return Rendered(log=[f"PUT {outcome.source}"], stderr=["one"])

    def notice(self, text: str) -> Rendered | None:
        return Rendered([text.upper()]) if text == "known" else None

    def beat(self, totals: Totals) -> Rendered:
        self.beats += 1
        return Rendered(stderr=[f"{totals.done} so far"]) if self.beats == 1 else NOTHING

    def end(self, result: RunReport) -> Rendered | None:
        return Rendered(log=["THE END"], stderr=["all done"])


def loud(path: Path, *, program: str = "old-tool") -> Job:
    return job(voice=NAME, program=program, log_file=str(path))


def test_a_voice_is_found_by_its_name() -> None:
    assert type(voice_of(job(voice=NAME))) is Loud
    assert voice_of(job()) is None


def test_what_a_voice_says_and_what_it_leaves_to_s3pp(tmp_path: Path) -> None:
    out, err, log = io.StringIO(), io.StringIO(), tmp_path / "log"
    recorder = Recorder(loud(log), Streams.of(out, err))
    recorder.record(ALL)
    recorder.notice("known")
    recorder.notice("unknown")
    recorder.set_listed(len(ALL), done=True)
    recorder.close()
    assert out.getvalue() == "START\nKNOWN\n"
    first, *others = err.getvalue().splitlines()
    assert first == "one"
    assert [line.partition(":")[0] for line in others if line != "1 so far"] == ["old-tool"] * 3
    assert others.count("1 so far") == 1
    assert FAILED.message in err.getvalue()
    assert SAME.source not in err.getvalue()
    assert log.read_text() == f"PUT {DONE.source}\n", "no line of s3pp's own"


class Secretive(Loud):
    """Says all in the log."""

    def notice(self, text: str) -> Rendered | None:
        return Rendered(log=[f"NOTICE {text}"])


def test_that_the_log_is_lost_is_said_on_stderr() -> None:
    err = io.StringIO()
    full = job(voice=f"{__name__}:Secretive", log_file="/dev/full")
    recorder = Recorder(full, Streams.of(io.StringIO(), err))
    recorder.record([DONE])
    recorder.record([DONE])
    recorder.close()
    lost = "--log-file '/dev/full': writing failed: No space left on device"
    lines = [line for line in err.getvalue().splitlines() if "NOTICE" in line]
    assert lines == [f"NOTICE {lost}: the log ends here; the run continues"]
    notice_lines("narrowed", full).write_to(Streams.of(io.StringIO(), err))
    assert err.getvalue().endswith("NOTICE narrowed\n")


class Extra(Loud):
    """A voice beside which the log stays s3pp's."""

    replaces_log = False


def test_a_voice_may_leave_the_log_as_it_is(tmp_path: Path) -> None:
    recorder = Recorder(
        job(voice=f"{__name__}:Extra", log_file=str(tmp_path / "log")),
        Streams.of(io.StringIO(), io.StringIO()),
    )
    recorder.record([DONE])
    recorder.notice("known")
    recorder.close()
    said, *own = (tmp_path / "log").read_text().splitlines()
    assert said == f"PUT {DONE.source}"
    assert [line.split()[1:3] for line in own] == [
        ["INFO", "put"],
        ["WARNING", "known"],
        ["INFO", "put"],
    ]


def test_the_end_is_said_instead_of_the_summary(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    result = RunReport(ExitStatus.OK, Totals(done=1, listed=1, walk_done=True))
    monkeypatch.setattr(runs, "_transfer", lambda job, output: result)
    out, err, log = io.StringIO(), io.StringIO(), tmp_path / "log"
    quiet = replace(loud(log), sources=(Source(str(tmp_path.parent / "nothing")),))
    Path(quiet.sources[0].path).mkdir()
    assert app.run(quiet, Streams.of(out, err)) == result
    assert (out.getvalue(), err.getvalue()) == ("", "all done\n")
    assert log.read_text() == "THE END\n"
