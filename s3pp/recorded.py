"""What ``verify`` looks at, and by what it is verified."""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple


class MatchReason(str, Enum):
    """By what an object was verified; the value is what users and scripts read."""

    BYTES = "bytes"  # --deep: all were read
    ETAG = "size and etag"
    ETAG_ALONE = "etag"  # the journal does not say which size it has at the destination
    CHECKSUM = "size and checksum"
    TIME = "size and time"
    SIZE = "size"  # --compare size; or nothing else is recorded

    __hash__ = str.__hash__


class Recorded(NamedTuple):
    """What a journal says of an object, or of a file, at its destination."""

    size: int | None = None  # bytes; None: not known
    etag: str = ""  # without quotes; of the object that a file was fetched from
    checksum: tuple[str, str] | None = None  # name and base64, of all bytes
    version: str = ""  # id
    modified_ns: int | None = None  # of a file


class VerifyTask(NamedTuple):
    """One object, or file, of a journal to look at. Producer: walker; consumer: verifier."""

    bucket: str  # empty: it is a file
    name: str  # its key, or its absolute path
    size: int  # bytes that have to be read
    recorded: Recorded

    @property
    def target(self) -> str:
        """The full name."""
        return f"s3://{self.bucket}/{self.name}" if self.bucket else self.name

    @property
    def source(self) -> str:
        """The full name: nothing else is involved."""
        return self.target
