"""No text that others have written reaches a terminal or a log as it is: all of it is escaped.

Names, messages, header values, arguments: whatever is in them, what is printed are lines of
printable characters. So nothing can move a cursor, colour or hide what follows, or reorder it.
"""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3pp import program
from s3pp.cli.main import COMMANDS, dispatch
from s3pp.errors import FailureKind, FatalError, UsageError, unexpected
from s3pp.job import Job
from s3pp.output import Output
from s3pp.places import Origin, Place, Source
from s3pp.records import (
    Deleted,
    DeleteReason,
    Done,
    Failed,
    Outcome,
    SendReason,
    Skipped,
    SkipReason,
    UploadFacts,
)
from s3pp.report.journal import Log
from s3pp.report.lines import Found, KeyView
from s3pp.report.outlet import Streams
from s3pp.report.run_records import RunRecords
from s3pp.report.view import view_of
from s3pp.report.voice import notice_lines, voice_of
from s3pp.s3.exchange import Response
from s3pp.s3.listing import Listed
from s3pp.s3.retry import store_error

# C0, DEL, C1, line and paragraph separators, marks that reorder text, and what stands for bytes.
ODD = (
    "\0\a\b\t\n\v\f\r\x1b\x7f\x85\x9b\x9d"
    "\u061c\u200e\u200f\u2028\u2029\u202a\u202e\u2066\ufeff\udcff"
)
TEXTS = st.text(st.sampled_from(ODD + "a[2J]/%\\'\"{}") | st.characters(), min_size=1, max_size=8)

JOBS = {
    "put": Job("put", (Source("a"),), Place("bkt", "p")),
    "get": Job("get", origins=(Origin("bkt"),), directory="d"),
    "copy": Job("copy", origins=(Origin("bkt"),), dest=Place("other")),
    "move": Job("copy", origins=(Origin("bkt"),), dest=Place("other"), moves=True),
    "remove": Job("remove", origins=(Origin("bkt"),)),
    "clean": Job("clean", origins=(Origin("bkt"),)),
}
# The voices of commands, with the verbs that they run; the first is s3pp.
VOICES = {
    "": tuple(JOBS),
    "s3pp.compat.s3_parallel_put_voice:PutVoice": ("put",),
    "s3pp.compat.s3copy_voice:CopyingVoice": ("copy",),
    "s3pp.compat.s3clone:CloneVoice": ("get",),
    "s3pp.compat.resumable_voice:TransferVoice": ("put", "copy"),
}


def outcomes(text: str, verb: str) -> list[Outcome]:
    """Each kind of outcome, with ``text`` wherever others decide what is there."""
    # Others are no uploads that are due.
    facts = UploadFacts(text, "2026-11-20T08:30:00.000Z", 1) if verb == "clean" else None
    found: list[Outcome] = [
        Done(text, text, 5, 5, text, SendReason.NEW, upload=facts),
        Skipped(text, text, 5, SkipReason.EXISTS, facts, dest_size=7),
        Skipped(text, text, 5, SkipReason.OTHER_SIZE, facts),
        Failed(text, text, FailureKind.STORE, text, text, upload=facts),
    ]
    if verb != "clean":
        found.append(Deleted(text, 5, DeleteReason.SELECTED, text, text))
    return found


def check(text: str) -> None:
    """All of it is printable, but for line ends."""
    odd = [line for line in text.split("\n") if not line.isprintable()]
    assert odd == []


@pytest.mark.parametrize("voice", VOICES)
@pytest.mark.parametrize("json", [False, True])
@given(text=TEXTS)
def test_outcomes_and_notices(voice: str, json: bool, text: str) -> None:
    for verb in VOICES[voice]:
        job = replace(JOBS[verb], output=Output(voice=voice, verbosity=2, json=json))
        view = view_of(job, voice_of(job))
        rendered = [view.render([each]) for each in outcomes(text, verb)]
        rendered += [view.notice(text), view.complaint(text), notice_lines(text, job)]
        lines = [line for each in rendered for part in each for line in part]
        check("\n".join([*lines, *view.release(), *view.last_lines()]))
        assert not any("\n" in line for line in lines)


@given(text=TEXTS)
def test_listings(text: str) -> None:
    page: list[Found] = [
        Listed(text, 5, text, text, text),
        Failed(text, text, FailureKind.STORE, text),
    ]
    for json in (False, True):
        view = KeyView("bkt", json=json)
        lines = [*view.lines(page), *view.remarks(page)]
        assert len(lines) == 2
        check("\n".join(lines))
        assert not any("\n" in line for line in lines)


@given(text=TEXTS)
def test_errors_and_what_a_store_says(text: str) -> None:
    body = f"<Error><Code>{text}</Code><Message>{text}</Message></Error>"
    answer = Response(403, b"HTTP/1.1 403 x\r\n", body.encode("utf-8", "replace"))
    errors: list[Exception] = [
        UsageError(text),
        FatalError(text),
        store_error(answer, text),
        ValueError(text),
        OSError(5, text, text),
    ]
    for error in errors:
        check(unexpected(error, "walker"))

        def fail(_argv: Any, _streams: Any, error: Exception = error) -> int:
            raise error

        assert execute(fail, ["put"], text)


def execute(main: Any, argv: list[str], name: str = "s3pp") -> str:
    """What a command prints, which has to be printable."""
    out, err = io.StringIO(), io.StringIO()
    program.execute(program.Program(name, main), argv, Streams.of(out, err))
    check(out.getvalue() + err.getvalue())
    return err.getvalue()


# Each fails before anything is done, because of ``{}``.
USAGES = [
    ["{}"],
    *([verb, "--{}"] for verb in COMMANDS),
    *([verb, "--endpoint-url={}", "a", "s3://bkt"] for verb in ("put", "move")),
    *(
        ["put", f"--{name}", "{}", "a", "s3://bkt"]
        for name in (
            "mode",
            "limit",
            "min-size",
            "newer-than",
            "header",
            "metadata",
            "tag",
            "grant-to",
            "content-type",
            "max-delete",
            "region",
            "profile",
            "rules",
            "journal",
            "lock-wait",
        )
    ),
    *(["put", f"--{name}={{}}", "a", "s3://bkt"] for name in ("json", "dry-run", "order", "x")),
    ["list", "s3://\x1b{}"],
    ["get", "s3://bkt/{}", ""],
    ["put", "/nonexistent/{}", "s3://bkt"],
    ["put", "--lock", "/nonexistent/{}", "--retry-from", "/nonexistent/{}", "/dev", "s3://bkt"],
    ["apply", "/nonexistent/{}"],
    ["put", "--include", "[{}", "/dev", "s3://bkt"],
]


@pytest.mark.parametrize("words", USAGES, ids=" ".join)
@given(text=TEXTS)
def test_usage_errors(words: list[str], text: str) -> None:
    execute(dispatch, [word.replace("{}", f"\x1b{text}") for word in words])


@given(text=TEXTS)
def test_logs_and_journals(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    top = tmp_path_factory.getbasetemp() / "own"
    top.mkdir(exist_ok=True)
    for verb, plain in JOBS.items():
        output = Output(verbosity=2, journal=str(top / "journal"), log_file=str(top / "log"))
        job = replace(plain, output=output)
        log = Log(str(top / "log"), job)
        log.record(outcomes(text, verb))
        log.line("NOTICE", text)
        log.close()
        RunRecords(job).record(outcomes(text, verb))
        for name in ("journal", "log"):
            path: Path = top / name
            check(path.read_bytes().decode())
            path.unlink()
