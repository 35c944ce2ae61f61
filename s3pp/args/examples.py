"""Examples of each command, which end its help text."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple


class Example(NamedTuple):
    """A command line, and what it is for."""

    purpose: str
    command: str  # as typed into a shell


_ALL: Mapping[str, tuple[Example, ...]] = MappingProxyType(
    {
        "put": (
            Example("what would be uploaded, and why", "s3pp put -n site s3://bucket/site"),
            Example(
                "a nightly mirror, of which one at a time runs",
                "s3pp put -q --delete --max-delete 10% --lock auto --journal put.log"
                " site s3://bucket/site",
            ),
            Example("text compressed", "s3pp put --gzip site s3://bucket/site"),
            Example(
                "a database dump as one object", "pg_dump shop | s3pp put - s3://bucket/shop.sql"
            ),
        ),
        "get": (
            Example("all objects below a prefix", "s3pp get s3://bucket/site site"),
            Example("one kind of them", "s3pp get --include '*.csv' s3://bucket/logs logs"),
            Example("one object to another program", "s3pp get s3://bucket/a.tar - | tar -x"),
        ),
        "copy": (
            Example("to another bucket", "s3pp copy s3://bucket/site s3://copies/site"),
            Example(
                "from another store",
                "s3pp copy --source-endpoint-url https://store.example --source-profile old"
                " s3://bucket s3://copies",
            ),
        ),
        "move": (
            Example(
                "files that are older than a day", "s3pp move --older-than 1d out s3://bucket/in"
            ),
            Example("objects", "s3pp move s3://bucket/in s3://bucket/done"),
        ),
        "remove": (
            Example("what would be deleted", "s3pp remove -n --older-than 90d s3://bucket/logs"),
            Example(
                "at most a thousand objects", "s3pp remove --max-delete 1000 s3://bucket/cache/"
            ),
        ),
        "verify": (
            Example("what a run has done", "s3pp verify run.jsonl"),
            Example("the bytes of both ends", "s3pp verify --deep site s3://bucket/site"),
        ),
        "retry": (
            Example("what failed, or was not attempted", "s3pp retry put.log"),
            Example("what that would be", "s3pp retry -n put.log"),
        ),
        "apply": (
            Example(
                "what was planned, and nothing else",
                "s3pp put --plan plan.json site s3://bucket/site && s3pp apply plan.json",
            ),
        ),
        "merge": (
            Example("whether ten runs covered everything", "s3pp merge data-*.jsonl"),
            Example("and one journal of all", "s3pp merge -o all.jsonl data-*.jsonl"),
        ),
        "report": (
            Example("a page about the last run", "s3pp report put.log"),
            Example(
                "beside the run of another journal", "s3pp report -o page.html new.log old.log"
            ),
        ),
        "list": (
            Example(
                "the number of objects, and their size", "s3pp list -q --summarize s3://bucket/p"
            ),
            Example("for programs", "s3pp list --json s3://bucket/p"),
            Example("one level, as of a directory", "s3pp list --delimiter / s3://bucket/p"),
            Example("the buckets", "s3pp list --buckets"),
        ),
        "du": (
            Example("how much there is", "s3pp du --human-readable s3://bucket/p"),
            Example("what of it is below each prefix", "s3pp du --depth 1 s3://bucket/p"),
        ),
        "clean": (
            Example("uploads that nobody finishes", "s3pp clean --older-than 7d s3://bucket"),
        ),
        "completion": (
            Example("in this shell", 'eval "$(s3pp completion bash)"'),
            Example("in each fish", "s3pp completion fish > ~/.config/fish/completions/s3pp.fish"),
        ),
        "config": (
            Example("what is set, and where", "s3pp config"),
            Example("every option of a mirror", "s3pp config --preset mirror put"),
        ),
        "doctor": (
            Example("whether put, get and remove can work", "s3pp doctor s3://bucket/p"),
            Example("of an account that only reads", "s3pp doctor --read-only s3://bucket/p"),
            Example("only problems, for cron", "s3pp doctor -q s3://bucket/p"),
        ),
        "sandbox": (
            Example("a shell whose programs use it", "s3pp sandbox --bucket demo -- bash"),
            Example("a server for other terminals", "s3pp sandbox --port 9000"),
        ),
    }
)


def examples_of(verb: str) -> tuple[Example, ...]:
    """Return the examples of ``verb``; it may have none."""
    return _ALL.get(verb, ())


def text_of(verb: str) -> str:
    """Return them as the last paragraph of a help text; empty where there are none."""
    lines = [f"  # {purpose}\n  {command}\n" for purpose, command in examples_of(verb)]
    return "\nexamples:\n" + "".join(lines) if lines else ""
