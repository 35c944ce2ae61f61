"""What each kind of failure means, and what to do about it."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

from s3pp.errors import ExitStatus, FailureKind


class Advice(NamedTuple):
    """A kind of failure in words."""

    meaning: str
    remedy: str


_AGAIN = "Run the same command again, or s3pp retry JOURNAL: what is done is skipped."

ADVICE: Mapping[FailureKind, Advice] = MappingProxyType(
    {
        FailureKind.NAME: Advice(
            "The name cannot be a key, or no file can have it.",
            "Rename the file or the object; a key has at most 1,024 bytes of UTF-8.",
        ),
        FailureKind.CONFLICT: Advice(
            "Another source has the same destination, or something else is there.",
            "Give each source a prefix or a directory of its own, or move away what is there.",
        ),
        FailureKind.NOT_FOUND: Advice(
            "It does not exist, or was removed while the run went on.",
            "Nothing, if it was meant to be removed; else look for it, and run again.",
        ),
        FailureKind.UNREADABLE: Advice(
            "The file system refused to read or to write it.",
            "Check its permissions, the free space and the disk, and run again.",
        ),
        FailureKind.CHANGED: Advice(
            "It kept changing while it was read.",
            "Run again when it is no longer written to, or transfer a snapshot of it.",
        ),
        FailureKind.OUTDATED: Advice(
            "It, or its destination, has changed since the plan was made.",
            "Make a new plan, and apply that.",
        ),
        FailureKind.TOO_LARGE: Advice(
            "It is larger than the store, or the file system, allows.",
            "Split it, or choose a larger --part-size; S3 has at most 10,000 parts in an object.",
        ),
        FailureKind.ACCESS: Advice(
            "The store denied access to it.",
            "Check the credentials, and the policies of the bucket and of the key.",
        ),
        FailureKind.REJECTED: Advice(
            "The store refused the request for good.",
            "The message says why; an option or a header may not be supported by this store.",
        ),
        FailureKind.INTEGRITY: Advice(
            "What arrived is not what was sent; it was not kept.",
            f"{_AGAIN} If it fails again, check memory, disks and proxies on the way.",
        ),
        FailureKind.STORE: Advice(
            "The store failed, or throttled the request, at every attempt.",
            f"{_AGAIN} If it was throttled, use a smaller --concurrency, or --max-requests.",
        ),
        FailureKind.NETWORK: Advice(
            "No answer came, at every attempt.",
            f"{_AGAIN} On a bad line use a smaller --concurrency and longer timeouts.",
        ),
        FailureKind.MISSING: Advice(
            "It does not exist at the destination.",
            "Transfer it again: s3pp retry JOURNAL, or the same command.",
        ),
        FailureKind.DIFFERS: Advice(
            "The destination has another one.",
            "Find out what wrote it; to replace it, run the transfer again.",
        ),
        FailureKind.EXTRA: Advice(
            "It exists at the destination alone.",
            "To delete such objects, run the transfer with --delete, first with --dry-run.",
        ),
        FailureKind.UNDECIDED: Advice(
            "What was looked at proves nothing.",
            "Verify with --deep, which reads the bytes.",
        ),
        FailureKind.CRASHED: Advice(
            "Several worker processes died that had nothing else to do.",
            "Look for an out-of-memory kill in the system's log, and report the object.",
        ),
        FailureKind.INTERNAL: Advice(
            "This is a defect in s3pp.", "Please report it, with the message."
        ),
    }
)
_UNKNOWN = Advice("A later version of s3pp may know this kind.", "See the messages below.")


def advice_on(kind: str) -> Advice:
    """Return the advice on a kind of failure, as journals name it."""
    try:
        return ADVICE[FailureKind(kind)]
    except ValueError:
        return _UNKNOWN


EXITS: Mapping[int, str] = MappingProxyType(
    {
        ExitStatus.OK: "all well",
        ExitStatus.SOME_FAILED: "some objects failed, or an option asked for this exit code",
        ExitStatus.USAGE: "wrong usage, or something that does not exist",
        ExitStatus.ABORTED: "the run was aborted",
        ExitStatus.HANGUP: "its terminal was closed",
        ExitStatus.INTERRUPTED: "interrupted",
        ExitStatus.READER_GONE: "the reader of standard output exited",
        ExitStatus.TERMINATED: "terminated",
    }
)
