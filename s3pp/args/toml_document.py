"""A file in TOML that a user has written: its values and, for messages, their lines."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import BinaryIO

from s3pp.args.toml_lines import Path, line_of, line_of_fault, parse
from s3pp.errors import UsageError

MAX_BYTES = 1 << 20  # of a file

_KINDS: Mapping[type, str] = MappingProxyType(
    {
        str: "a string",
        bool: "a boolean",
        int: "a number",
        float: "a number",
        list: "an array",
        dict: "a table",
    }
)


def kind_of(value: object) -> str:
    """Return what a value of a document is, for messages."""
    return _KINDS.get(type(value), "a date or time")


def read_content(file: BinaryIO, title: str) -> bytes:
    """Read a whole file; ``title`` names it in messages. Raises ``UsageError`` and ``OSError``."""
    content = file.read(MAX_BYTES + 1)
    if len(content) > MAX_BYTES:
        raise UsageError(f"{title} is larger than 1 MiB: name another file")
    return content


class TomlDocument:
    """The values of a file, and where in it they are."""

    def __init__(self, title: str, content: bytes) -> None:
        """``title`` names the file in messages. Raises ``UsageError`` where it is not TOML."""
        self.title = title
        try:
            self.text = content.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            line = content.count(b"\n", 0, error.start) + 1
            raise self.fault(line, "is not UTF-8") from None
        try:
            self.content = parse(self.text)
        except ValueError as error:
            raise self.fault(line_of_fault(self.text), f"is not TOML: {error}") from None

    def line(self, path: Path) -> int:
        """Return the line of a value, from 1."""
        return line_of(self.text, path)

    def fault(self, where: int | Path, what: str) -> UsageError:
        """Return the error that something is wrong in a line, or with a value."""
        line = where if isinstance(where, int) else self.line(where)
        return UsageError(f"{self.title}, line {line}: {what}")
