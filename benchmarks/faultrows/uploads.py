"""U1-U14: faults of uploads."""

from __future__ import annotations

import os
import re
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from faultrows.judging import LARGE, PARTS, Place, Put, Row, Verdict, finish, rules
from faults.large import STAY, late_error, uploads
from faults.trials import Transfer
from stores.fault_actions import (
    Action,
    Call,
    FlipBit,
    Gate,
    LoseResponse,
    Reset,
    Say,
    Status,
)
from stores.fault_proxy import Rule
from trees import Content, content

SMALL: Mapping[str, Content] = {f"f{n}": 5000 for n in range(8)}
SECOND_PART, COMPLETION = "partNumber=2&", r"\?uploadId="
ONE_LARGE: Mapping[str, Content] = {"large": LARGE, "small": 5000}
TOKEN = "session-token-that-must-not-be-seen"


def uploading(
    fault: Callable[[Transfer], None], files: Mapping[str, Content] = SMALL, *options: str
) -> Callable[[Place], Verdict]:
    """Put ``files`` while the fault is in the way; right is what the files hold afterwards."""

    def act(place: Place) -> Verdict:
        trial = place.put()
        trial.tree(files)
        fault(trial)
        return _with_uploads(trial, finish(trial, trial.start(*options), _Now(trial)))

    return act


class _Now(Mapping[str, bytes]):
    """The files as they are when the run has ended, not when it began."""

    def __init__(self, trial: Put) -> None:
        self._trial = trial

    def __getitem__(self, key: str) -> bytes:
        return self._trial.contents()[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._trial.contents())

    def __len__(self) -> int:
        return len(self._trial.contents())


def _with_uploads(trial: Put, verdict: Verdict) -> Verdict:
    left = len(uploads(trial.bucket))
    if not left or verdict.broken:
        return verdict
    if STAY not in verdict.said:
        return Verdict("X", f"{left} unfinished uploads left, and not said")
    return replace(verdict, note="unfinished upload left for the next run, and said")


def late(times: int = 0) -> Callable[[Transfer], None]:
    """A completion that is answered 200 and turns out an error."""
    return rules(Rule(Say(late_error("InternalError")), "POST", COMPLETION, times=times))


def lost_completion(trial: Transfer) -> None:
    """The completion is done, its answer lost, and the upload unknown when asked again."""
    trial.inject(
        Rule(LoseResponse(), "POST", COMPLETION, times=1),
        Rule(Status(404, "NoSuchUpload"), "POST", COMPLETION),
    )


def changing(change: Callable[[Path], None]) -> Callable[[Transfer], None]:
    """The large file is changed when its second part has begun to arrive."""

    def fault(trial: Transfer) -> None:
        assert isinstance(trial, Put)
        path = trial.source / "large"
        trial.inject(Rule(Call(lambda _: change(path)), "PUT", SECOND_PART, times=1))

    return fault


def shrink(path: Path) -> None:
    """To half its size."""
    os.truncate(path, LARGE // 2 + 1)


def rewrite(path: Path) -> None:
    """Other bytes of the same size, in place."""
    path.write_bytes(content(LARGE, "new"))


def rewrite_one_part(path: Path) -> None:
    """Some bytes of the first part, in place."""
    with path.open("r+b") as stream:
        stream.write(b"changed")


def rewrite_and_backdate(path: Path) -> None:
    """Other bytes of the same size, with the old modification time."""
    before = path.stat()
    rewrite(path)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def replace_file(path: Path) -> None:
    """By another of the same size, with a rename."""
    new = path.parent.parent / "new"
    new.write_bytes(content(LARGE, "new"))
    new.rename(path)


def rewritten(place: Place) -> Verdict:
    """Each way a file may be rewritten; the worst verdict counts."""
    changes = (rewrite, rewrite_one_part, rewrite_and_backdate, replace_file)
    verdicts = []
    for number, change in enumerate(changes):
        root = place.root / str(number)
        root.mkdir()
        one = uploading(changing(change), {"large": LARGE}, *PARTS)(replace(place, root=root))
        verdicts.append(replace(one, note=one.note or f"{len(changes)} ways of rewriting"))
    return next((each for each in verdicts if each.result != "OK"), verdicts[0])


def odd_files(place: Place) -> Verdict:
    """A FIFO, a name that is not UTF-8, a dangling link and a loop, beside ordinary files."""
    trial = place.put()
    expected = trial.tree({"a": 5000, "m/n": 5000, "z": 5000})
    os.mkfifo(trial.source / "fifo")
    (trial.source / "dangling").symlink_to("nowhere")
    (trial.source / "m" / "loop").symlink_to("..")
    Path(os.fsdecode(os.fsencode(trial.source) + b"/caf\xe9")).write_bytes(b"x")
    verdict = finish(trial, trial.start(), expected)
    if trial.arrived() != expected:
        return Verdict("X", "an ordinary file is missing")
    return replace(verdict, note=verdict.note or "each named, the ordinary files arrived")


def interrupted(place: Place) -> Verdict:
    """SIGINT while parts are sent."""
    trial = place.put()
    expected = trial.tree({"large": 10 * LARGE // 3})
    gate = Gate()
    trial.inject(Rule(gate, "PUT", "partNumber="))
    running = trial.start(*PARTS, "--concurrency=2")
    trial.proxy.wait_for(1)
    running.signal(signal.SIGINT)
    while not running.err() and running.popen.poll() is None:
        time.sleep(0.01)  # until it has said what it makes of the signal
    gate.open()
    verdict = _with_uploads(trial, finish(trial, running, expected))
    return replace(verdict, note=verdict.note or "upload aborted")


def secrets(place: Place) -> Verdict:
    """Everything that is said with -vv, and the log, without secret, token and signature."""
    trial = place.put()
    trial.tree(SMALL)
    log = place.root / "log"
    trial.inject(Rule(Status(503, "SlowDown"), "PUT", times=2), Rule(Reset(), "PUT", times=1))
    running = trial.start("-vv", f"--log-file={log}", env={"AWS_SESSION_TOKEN": TOKEN})
    verdict = finish(trial, running, _Now(trial))
    signed = [hit.request.header("authorization") for hit in trial.proxy.hits()]
    found = {match for line in signed for match in re.findall(r"Signature=(\w+)", line)}
    said = log.read_text() + trial.journal.read_text()
    if any(word in said for word in {TOKEN, place.store.secret_key, *found}):
        return Verdict("X", "a secret, a token or a signature was said")
    return replace(verdict, note=verdict.note or "secret, token, signature: nowhere")


def on_put(action: Action, times: int) -> Callable[[Place], Verdict]:
    """So many PUTs of small files meet the action."""
    return uploading(rules(Rule(action, "PUT", times=times)))


ROWS = (
    Row("U1", "503 three times", on_put(Status(503, "SlowDown"), 3)),
    Row("U2", "500 twice", on_put(Status(500, "InternalError"), 2)),
    Row("U3", "reset before the request, twice", on_put(Reset(), 2)),
    Row("U4", "response lost after commit", on_put(LoseResponse(), 1)),
    Row("U5", "Complete: 200 with Error, once", uploading(late(1), ONE_LARGE, *PARTS)),
    Row("U6", "Complete: 200 with Error, always", uploading(late(), ONE_LARGE, *PARTS)),
    Row("U7", "Complete lost, then NoSuchUpload", uploading(lost_completion, ONE_LARGE, *PARTS)),
    Row("U8", "file shrinks while parts are sent", uploading(changing(shrink), ONE_LARGE, *PARTS)),
    Row("U9", "file rewritten, same size", rewritten),
    Row("U10", "bit flip, store does not verify", on_put(FlipBit(), 1)),
    Row("U10b", "bit flip, store verifies", on_put(FlipBit(), 1), store="swift"),
    Row("U11", "ExpiredToken after 3 objects", uploading(
        rules(Rule(Status(400, "ExpiredToken"), "PUT", skip=3))
    )),
    Row("U12", "FIFO, name not UTF-8, dangling link, loop", odd_files),
    Row("U13", "SIGINT while parts are sent", interrupted),
    Row("U14", "secrets in output and log", secrets),
)  # fmt: skip
