"""A count that runs ahead of a walk that is held up, on a terminal of 60 columns."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import struct
import termios

import pytest

from faults.trials import PutTrial
from stores.fault_actions import Gate
from stores.fault_proxy import Rule

CONTROLS = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


@pytest.mark.parametrize("precount", [True, False], ids=["counted", "not counted"])
def test_progress_is_counted_ahead_of_the_walk(moto_trial: PutTrial, precount: bool) -> None:
    """The walk waits for the destination's listing, after the probe; the count does not."""
    trial = moto_trial
    trial.tree({"a": b"1" * 1000, "d/b": b"2" * 1048})
    (trial.source / "no").symlink_to("nowhere")
    gate = Gate()
    trial.inject(Rule(gate, "GET", "list-type", skip=1))
    near, far = pty.openpty()
    fcntl.ioctl(far, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 60, 0, 0))
    options = ["--progress"] if precount else ["--progress", "--no-precount"]
    running = trial.start_plain(*options, stderr=far, env={"TERM": "xterm"})
    os.close(far)
    wanted = "0%, 0 of 3 objects" if precount else "no objects found yet"
    shown = ""
    while wanted not in shown:
        shown += os.read(near, 1 << 16).decode()
    gate.open()
    while piece := read(near):
        shown += piece
    assert running.wait().code == 1
    frames = [CONTROLS.sub("", each) for each in re.split(r"\x1b\[J", shown)]
    rows = [row for each in frames for row in re.split(r"[\r\n]+", each)]
    assert all(len(row) < 60 for row in rows if not row.startswith("s3pp: "))
    said = [row for row in rows if "s3pp:" in row]
    assert len(said) == 1  # on a line of its own
    assert said[0].startswith("s3pp: put ")
    assert said[0].endswith("broken symbolic link to 'nowhere'")


def read(terminal: int) -> str:
    try:
        return os.read(terminal, 1 << 16).decode()
    except OSError:  # the last process that had it has ended
        return ""
