"""The configuration files of amazon-s3-resumable-upload, as data: the ``.ini`` and ``.py`` forms.

====================  ==================  ==========  ===========================
file                  of versions         ChunkSize   read
====================  ==================  ==========  ===========================
``NAME.ini``          the later ones      MB          with all sections as one
``NAME.ini.default``  the last ones       MB          if there is no ``NAME.ini``
``NAME.py``           up to 1.2           bytes       see ``python_config``
====================  ==================  ==========  ===========================

The case of keys does not matter. All values are kept as text.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Collection, Mapping
from configparser import (
    ConfigParser,
    DuplicateOptionError,
    DuplicateSectionError,
    Error,
    InterpolationError,
    MissingSectionHeaderError,
)
from dataclasses import dataclass
from typing import TypeVar

from s3pp.args import values
from s3pp.compat.python_config import Scalar, read_assignments
from s3pp.errors import UsageError
from s3pp.limits import MAX_PART, MIN_PART
from s3pp.localfs.paths import shown

MEGABYTE = 1 << 20

_T = TypeVar("_T")
# "my-bucket"  # a remark
_QUOTED = re.compile(r"""(?P<quote>["'])(?P<text>.*?)(?P=quote)\s*(?:[#;].*)?""")


@dataclass(frozen=True)
class Configuration:
    """The settings in one file."""

    path: str
    settings: Mapping[str, str]  # by key, in lower case
    python: bool = False  # the ``.py`` form, of the first versions
    unused: tuple[str, ...] = ()  # every key, as it is written

    def text(self, key: str, default: str = "") -> str:
        """Return the value of ``key``; ``default`` where it is missing or empty."""
        return self.settings.get(key.lower()) or default

    def require(self, key: str) -> str:
        """Return the value of ``key``, which the job cannot do without. Raises ``UsageError``."""
        if not (found := self.text(key)):
            raise UsageError(f"{key} is not set in '{shown(self.path)}': add it")
        return found

    def read(self, key: str, reader: Callable[[str], _T], default: _T) -> _T:
        """Return what ``reader`` makes of the value of ``key``. Raises ``UsageError``."""
        text = self.text(key)
        try:
            return reader(text) if text else default
        except ValueError as error:
            raise UsageError(f"{key} in '{shown(self.path)}': {error}") from None

    def flag(self, key: str, *, default: bool) -> bool:
        """Return the value of a key that is true or false. Raises ``UsageError``."""
        return self.read(key, _flag, default)

    def chunk_size(self) -> int:
        """Return the size of a part in bytes. Raises ``UsageError``."""
        unit, default = (1, 50 * MEGABYTE) if self.python else (MEGABYTE, 5 * MEGABYTE)
        return self.read("ChunkSize", lambda text: _part_size(text, unit), default)

    def unknown(self, known: Collection[str]) -> str:
        """Return a notice about keys that are not ``known``; empty: there are none."""
        lower = {key.lower() for key in known}
        keys = [key for key in self.unused if key.lower() not in lower]
        if not keys:
            return ""
        named = f"{', '.join(keys[:-1])} and {keys[-1]}" if keys[1:] else keys[0]
        return f"'{shown(self.path)}': {named}: unknown, without effect"


def find(names: Collection[str], program: str) -> str:
    """Return the path of the first of ``names`` beside ``program``, or else in this directory.

    Raises ``UsageError`` if there is none.
    """
    beside = os.path.dirname(program)
    for directory in dict.fromkeys((beside, "")):
        for name in names:
            if os.path.isfile(path := os.path.join(directory, name)):
                return path
    raise UsageError(
        f"there is no {' or '.join(names)} here, nor beside '{shown(program)}':"
        " name the file as an argument"
    )


def load(path: str) -> Configuration:
    """Read a configuration file. Raises ``UsageError`` naming it and, if possible, the line."""
    try:
        with open(path, "rb") as file:
            content = file.read()
    except OSError as error:
        raise UsageError(f"'{shown(path)}' cannot be read: {error.strerror}") from None
    return _load_python(path, content) if path.endswith(".py") else _load_ini(path, content)


def _load_python(path: str, content: bytes) -> Configuration:
    found = read_assignments(content, path)
    settings = {name.lower(): _as_text(each.value) for name, each in found.items()}
    unused = tuple(name for name, each in found.items() if not each.used)
    return Configuration(path, settings, python=True, unused=unused)


def _as_text(value: Scalar) -> str:
    if isinstance(value, float) and value.is_integer():  # 1.5 * Megabytes
        value = int(value)
    return "" if value is None else str(value)


def _load_ini(path: str, content: bytes) -> Configuration:
    settings: dict[str, str] = {}
    sections: dict[str, str] = {}  # by key
    for section, key, value in _parse_ini(path, content):
        if key in sections:
            both = f"[{sections[key]}] and [{section}]"
            raise UsageError(f"'{shown(path)}': {key} is set in {both}: keep one of them")
        sections[key] = section
        found = _QUOTED.fullmatch(value)
        settings[key] = found["text"] if found else value
    return Configuration(path, settings, unused=tuple(settings))


def _parse_ini(path: str, content: bytes) -> list[tuple[str, str, str]]:
    """Return sections, keys in lower case, and values. Raises ``UsageError``."""
    parser = ConfigParser(default_section="")  # the keys of [DEFAULT] are found once, too
    try:
        parser.read_string(content.decode("utf-8-sig"))
        return [(each, *pair) for each in parser.sections() for pair in parser.items(each)]
    except UnicodeDecodeError:
        raise UsageError(f"'{shown(path)}' is not UTF-8: save it in that encoding") from None
    except InterpolationError as error:  # its text shows the value, which may be a secret
        raise UsageError(
            f"'{shown(path)}': {error.option} holds a % that means nothing: write %%"
        ) from None
    except Error as error:
        raise UsageError(f"'{shown(path)}'{_line(error)}: {_why(error)}") from None


def _line(error: Error) -> str:
    errors = getattr(error, "errors", None)
    line = errors[0][0] if errors else getattr(error, "lineno", None)
    return f", line {line}" if line else ""


def _why(error: Error) -> str:
    match error:
        case DuplicateOptionError():
            return f"{error.option} is set twice: keep one of them"
        case DuplicateSectionError():
            return f"a second [{error.section}]: merge it with the first"
        case MissingSectionHeaderError():
            return "there is no section above it: begin the file with [Basic]"
    return "this is neither a section nor KEY = VALUE"


def _flag(text: str) -> bool:
    found = ConfigParser.BOOLEAN_STATES.get(text.lower())
    if found is None:
        raise ValueError(f"{text!r} is neither True nor False")
    return found


def _part_size(text: str, unit: int) -> int:
    number, least, most = values.whole(text), MIN_PART // unit, MAX_PART // unit
    if not least <= number <= most:
        name = "bytes" if unit == 1 else "MB"
        raise ValueError(f"{number} {name} is not what S3 allows: from {least} to {most} {name}")
    return number * unit
