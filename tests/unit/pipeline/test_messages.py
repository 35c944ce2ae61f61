"""What the docstrings of messages say of their routes is what the processes do."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

import s3pp.pipeline
from s3pp.pipeline.messages import MESSAGES

ROOM = Path(s3pp.pipeline.__file__).parent
# What each process runs, beside what all of them share.
MODULES = {
    "supervisor": "supervisor flow assignments credentials key_exchange counting",
    "walker": "walker connect",
    "worker": "worker slots connect part_client large_objects",
    "statter": "statter",
    "counter": "counter",
}
FOREIGN = {
    "OpenUpload": "worker, supervisor → supervisor, worker",
    "Feedback": "worker → supervisor",
    "RateLimit": "supervisor → worker",
    "PrefixLimit": "supervisor → worker",
    "Demand": "worker, walker → supervisor",
    "Permit": "supervisor → worker, walker",
    "Flow": "supervisor → statter",
    "Extent": "counter → statter",
}
ROUTE = re.compile(r"([a-z, ]+) → ([a-z, ]+)(?:: |\Z)")


def route(message: type[Any]) -> tuple[set[str], set[str]]:
    """The senders and the receivers of a message."""
    text = FOREIGN.get(message.__name__) or (message.__doc__ or "").partition("\n")[0]
    found = ROUTE.match(text)
    assert found, f"{message.__name__} does not say who sends it to whom"
    senders, receivers = (set(each.split(", ")) for each in found.groups())
    return senders, receivers


def texts(process: str) -> str:
    """The code of a process."""
    return "\n".join((ROOM / f"{name}.py").read_text() for name in MODULES[process].split())


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: message.__name__)
def test_who_is_named_handles_it_and_nobody_else_does(message: type[Any]) -> None:
    senders, receivers = route(message)
    assert senders | receivers <= MODULES.keys()
    constructors = {"TaskBatch": "task_batch", "BatchReport": "batch_report"} | {
        "FileDigests": "file_digests"
    }
    name = message.__name__
    case = re.compile(
        rf"(case (messages\.)?{name}\(|isinstance\(message, {name}\)|: {name} \|)"
        rf"|\| (messages\.)?{name}\("
    )
    named = re.compile(rf"\b({name}|{constructors.get(name, name)})\b")
    for process in MODULES:
        text = texts(process)
        routed = process == "supervisor" and "supervisor" not in receivers
        if process in receivers and name != "Heartbeat":  # any message shows that a child is alive
            assert case.search(text), f"the {process} does not handle it"
        elif not routed:
            assert not case.search(text), f"the {process} handles it"
        if process in senders and name not in FOREIGN:
            shared = (ROOM / "child.py").read_text() if name == "Fatal" else ""
            assert named.search(text + shared), f"the {process} does not send it"
