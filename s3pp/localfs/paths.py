"""Checks of keys as file names below a directory, names of temporary files, printable names.

A key is used unchanged or not at all: nothing is escaped, cut or joined differently, as then two
keys could map to one file, and an upload of the files would give other keys.
"""

from __future__ import annotations

import os
import random
import re
from hashlib import sha256

MAX_NAME_BYTES = 255  # of one segment, on every file system in common use
MAX_PATH_BYTES = 4096 - 256  # Linux's PATH_MAX, less some for DIRECTORY and the closing NUL

# Appended to a file's name while it is downloaded: recognised by every later run.
TEMPORARY = re.compile(r"\.s3pp-[0-9a-f]{16}\Z")
PARTIAL = re.compile(r"\.s3pp-[0-9a-f]{16}\.part\Z")  # a file that a later run can resume
RECORD = re.compile(r"\.s3pp-[0-9a-f]{16}\.ranges\Z")  # the record of its ranges
_UNFINISHED = re.compile(r"\.s3pp-[0-9a-f]{16}(\.part|\.ranges)?\Z")  # any of them
_SUFFIX_BYTES = len(".s3pp-") + 16

_SURROGATE = re.compile("[\ud800-\udfff]")
_NOT_ON_WINDOWS = re.compile(r'[\\:*?"<>|\x00-\x1f]|[ .]\Z')
_DEVICE = re.compile(r"(con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³]) *(\.|\Z)", re.IGNORECASE)


def path_fault(relative: str, size: int, *, windows: bool = os.name == "nt") -> str | None:
    """Return why an object of ``size`` bytes cannot be the file ``relative`` in DIRECTORY.

    None if it can; else one line, with what to do. A name that ends in a slash, or is empty
    (the key of DIRECTORY itself), marks a directory, and then the size must be 0. ``windows``
    adds the restrictions of that system.
    """
    if not windows and _plain(relative):
        return None
    if size and is_marker(relative):
        return f"the key holds {size} bytes and names a directory, which cannot: rename the object"
    if not relative:
        return None
    return _text_fault(relative) or _segments_fault(relative, windows)


def shown(text: str) -> str:
    """Return ``text`` for printing, with bytes that are not UTF-8 as ``\\xNN``."""
    if text.isascii():
        return text
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def is_unfinished(name: str) -> bool:
    """Return whether the name is that of an unfinished download or of its record."""
    return ".s3pp-" in name and _UNFINISHED.search(name) is not None


def is_marker(relative: str) -> bool:
    """Return whether a name marks a directory, not a file."""
    return not relative or relative[-1] == "/"


def temporary_name(name: str) -> str:
    """Return a temporary name for ``name``: recognisable, unique, not too long."""
    # The generator is seeded separately in each process.
    if len(name) > MAX_NAME_BYTES - _SUFFIX_BYTES or not name.isascii():
        name = _cut(name, _SUFFIX_BYTES)
    return f"{name}.s3pp-{random.getrandbits(64):016x}"


def partial_name(name: str, *origin: str) -> str:
    """Return the name of a partial file of ``name``, by which a later run finds it.

    ``origin`` identifies the content: equal for the same bytes, and different for others.
    """
    return f"{partial_stem(name)}{_fingerprint(*origin)}.part"


def partial_stem(name: str) -> str:
    """Return the prefix of all names, and no others, that ``partial_name`` returns for ``name``."""
    cut = _cut(name, _SUFFIX_BYTES + len(".ranges"))
    return f"{cut}.s3pp-{_fingerprint(name)}"


def _fingerprint(*what: str) -> str:
    return sha256("\n".join(what).encode(errors="surrogatepass")).hexdigest()[:8]


def record_name(partial: str) -> str:
    """Return the name of the record beside a partial file."""
    return f"{partial.removesuffix('.part')}.ranges"


def _cut(name: str, suffix: int) -> str:
    """Return as much of ``name`` as leaves room for a suffix of so many bytes."""
    return name.encode()[: MAX_NAME_BYTES - suffix].decode(errors="ignore")


def _plain(relative: str) -> bool:
    """Return true for most valid names: a fast path, as there may be a billion of them."""
    return (
        0 < len(relative) <= MAX_NAME_BYTES
        and relative.isascii()
        and relative[0] not in "/."
        and relative[-1] != "/"
        and "//" not in relative
        and "/." not in relative
        and "\0" not in relative
        and ".s3pp-" not in relative
    )


def _text_fault(relative: str) -> str | None:
    if "\0" in relative:
        return "the key has a NUL byte, and no file name can: rename the object"
    if _SURROGATE.search(relative):
        return "the key is not UTF-8: rename the object"
    if (length := len(relative.encode())) > MAX_PATH_BYTES:
        return f"the path has {length} bytes and {MAX_PATH_BYTES} are possible: rename the object"
    if relative[0] == "/":
        return "the key is an absolute path, which leads out of DIRECTORY: rename the object"
    if is_unfinished(relative):
        return "the next run would take it for a temporary file of s3pp: rename the object"
    return None


def _segments_fault(relative: str, windows: bool) -> str | None:
    for segment in relative.removesuffix("/").split("/"):
        if fault := _segment_fault(segment) or (windows and _windows_fault(segment)):
            return fault
    return None


def _segment_fault(segment: str) -> str | None:
    if not segment:
        return "the key has an empty segment (//), and no path can: rename the object"
    if segment in (".", ".."):
        return f"the key has a {segment!r} segment, which leads elsewhere: rename the object"
    if (length := len(segment.encode())) > MAX_NAME_BYTES:
        return f"a segment has {length} bytes and a file name {MAX_NAME_BYTES}: rename the object"
    return None


def _windows_fault(segment: str) -> str | None:
    if found := _NOT_ON_WINDOWS.search(segment):
        return f"no file name on Windows has {found[0]!r} there: rename the object"
    if found := _DEVICE.match(segment):
        return f"{found[1]!r} is a device on Windows: rename the object"
    return None
