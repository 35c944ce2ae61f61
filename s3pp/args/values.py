"""Parsers for the values of options, and for positional arguments.

Parsers of option values raise ``ValueError``, and argparse adds the option's name; parsers of
arguments raise ``UsageError``, which names the argument. Both state the fault and a remedy.
"""

from __future__ import annotations

import math
import os
import re

from s3pp.access import Grant
from s3pp.args.clusters import dask_address as dask_address  # noqa: PLC0414  # a reader, too
from s3pp.args.delimiters import delimiter as delimiter  # noqa: PLC0414  # a reader, too
from s3pp.args.shards import read_shard
from s3pp.args.timetables import read_timetable
from s3pp.deletion import MaxDelete
from s3pp.errors import UsageError
from s3pp.job import Compare, Mode
from s3pp.limits import GROUPS, KIB, MAX_PART, MIN_PART, PERMISSIONS
from s3pp.locking import FOREVER
from s3pp.places import Origin, Place, Source, access_point, parse_origin, parse_place
from s3pp.shard import Shard
from s3pp.timetable import Timetable

_SIZE = r"(?ai)(\d+(?:\.\d+)?)\s*([kmgtp]?)(?:i?b)?"
_DURATION = r"(?ai)(\d+(?:\.\d+)?)\s*([smhdw]?)"
_DATE = r"(?a)\d{4}-\d{2}-\d{2}"
_FACTOR = {"": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}
_TOKEN = r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"  # RFC 9110, section 5.6.2
_VISIBLE = r"[\x20-\x7e]+"
_ENDPOINT = (
    r"(?:(https?)://)?([A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\])(?::(\d{1,5}))?"
    r"((?:/[A-Za-z0-9._~-]+)*)/*"  # a path, in characters that need no encoding
)
_TYPE = r"(?a)[\w!#$&^.+-]+/[\w!#$&^.+*-]+(?:\s*;.*)?"

# S3 user guide, "Categorizing your storage using tags".
MAX_TAG_KEY, MAX_TAG_VALUE = 128, 256  # characters


def path(text: str) -> str:
    """The path of a file, which need not be UTF-8."""
    if fault := _path_fault(text):
        raise ValueError(f"{text!r} {fault}")
    return text


def whole(text: str, most: int | None = None, least: int = 1) -> int:
    """A whole number from ``least`` up to ``most``."""
    number = int(text) if re.fullmatch(r"\d{1,18}", text, re.ASCII) else -1
    if number < least or (most is not None and number > most):
        bounds = f"from {least} up" if most is None else f"from {least} to {most}"
        raise ValueError(f"{text!r} is not a whole number {bounds}")
    return number


MOST_DELETED = 10**15 - 1  # objects that --max-delete can allow: a float has them all


def max_delete(text: str) -> MaxDelete:
    """A number from 0 up, or a percentage: ``100``, ``10%``, ``0.5%``."""
    if re.fullmatch(r"(?a)\d{1,15}", text):  # up to MOST_DELETED
        return MaxDelete(int(text))
    if re.fullmatch(r"(?a)\d{1,3}(\.\d{1,6})?%", text) and float(text[:-1]) <= 100:
        return MaxDelete(float(text[:-1]), share=True)
    bounds = f"a number from 0 to {MOST_DELETED} nor a share such as 10%, up to 100%"
    raise ValueError(f"{text!r} is neither {bounds}")


def size(text: str) -> int:
    """Bytes: ``64``, ``10k``, ``16MiB``, ``1.5G``. Units are powers of 1024, however spelt."""
    found = re.fullmatch(_SIZE, text)
    if not found:
        raise ValueError(f"{text!r} is not a size: write bytes, or 10k, 16MiB, 1.5G")
    power = " kmgtp".index(found[2].lower() or " ")
    number = found[1]
    return int(number) << 10 * power if number.isdigit() else round(float(number) * 1024**power)


def part_size(text: str) -> int:
    """Bytes that S3 allows for a part and for a single PUT: 5 MiB to 5 GiB."""
    found = size(text)
    if not MIN_PART <= found <= MAX_PART:
        raise ValueError(f"{text!r} is not what S3 allows: from 5MiB to 5GiB")
    return found


def max_bandwidth(text: str) -> Timetable:
    """Bytes a second, at least 1k: ``10M``, or a timetable such as ``08:00,1M 18:00,off``."""
    return read_timetable(text, _bandwidth)


def max_requests(text: str) -> Timetable:
    """Requests a second: ``100``, or a timetable such as ``08:00,100 18:00,off``."""
    return read_timetable(text, whole)


def _bandwidth(text: str) -> int:
    rate = size(text)
    if rate < KIB:  # with less, connections would be silent for longer than stores wait
        raise ValueError(f"{text!r} is too little: write 1k or more, or off for no limit")
    return rate


def shard(text: str) -> Shard:
    """One of N shards: ``2/4``, or ``auto`` or ``auto/4``, by the variables of a scheduler."""
    return read_shard(text, os.environ)


def seconds(text: str) -> float:
    """A length of time greater than zero: ``10``, ``2.5``, ``90s``, ``5m``, in seconds."""
    length = _length(text)
    if length == 0:
        raise ValueError(f"{text!r} is too short: write more than 0")
    if length is None:
        raise ValueError(f"{text!r} is not a length of time: write seconds, or 90s, 5m, 2h")
    return length


def lock_wait(text: str) -> float:
    """A length of time, in seconds, or ``forever``."""
    length = FOREVER if text == "forever" else _length(text)
    if length is None or length > FOREVER:
        raise ValueError(
            f"{text!r} is not a length of time: write seconds, or 90s, 5m, 2h, or forever"
        )
    return length


def moment(text: str, now: float) -> float:
    """Seconds since the epoch: an age before ``now`` (``7d``), or an ISO date or time.

    A date means its start in local time; a time without an offset is local.
    """
    age = _length(text)
    if age is not None and not text[-1].isdigit():
        return now - age
    try:
        return _timestamp(text)
    except (ValueError, OverflowError, OSError):
        raise ValueError(
            f"{text!r} is neither an age such as 45s, 30m, 12h, 7d, 2w"
            " nor a date such as 2026-11-20 or 2026-11-20T08:30:00Z"
        ) from None


def header(text: str) -> tuple[str, str]:
    """``NAME:VALUE``."""
    name, value = _pair(text, ":", "NAME:VALUE")
    if not value:
        raise ValueError(f"{text!r} has no value, and a header needs one: leave it out")
    return token(name), visible(value)


def metadata(text: str) -> tuple[str, str]:
    """``KEY=VALUE``, fit to travel as a header; the value may be empty."""
    name, value = _pair(text, "=", "KEY=VALUE")
    return token(name), visible(value) if value else ""


def tag(text: str) -> tuple[str, str]:
    """``KEY=VALUE``; the value may be empty, both may be any text of a bounded length."""
    key, separator, value = text.partition("=")
    if not separator or not key:
        raise ValueError(f"{text!r} is not of the form KEY=VALUE")
    if key.lower().startswith("aws:"):
        raise ValueError(f"{key!r} begins with aws:, which is reserved; choose another key")
    if len(key) > MAX_TAG_KEY or len(value) > MAX_TAG_VALUE:
        raise ValueError(
            f"{text!r} is too long: {MAX_TAG_KEY} characters for the key, {MAX_TAG_VALUE} for"
            " the value"
        )
    if not text.isprintable():
        raise ValueError(f"{text!r} has characters that are not printable; leave them out")
    return key, value


def grant(text: str) -> Grant:
    """``PERMISSION:GRANTEE``, as ``READ:user@example.org``; a group may be given by its name."""
    permission, separator, grantee = text.partition(":")
    permission = permission.upper()
    if not separator or permission not in PERMISSIONS:
        raise ValueError(f"{text!r} does not begin with a permission: {', '.join(PERMISSIONS)}")
    if not grantee or not grantee.isprintable() or " " in grantee:
        raise ValueError(f"{text!r} names no grantee: an ID, a group or an e-mail address")
    return Grant(permission, GROUPS.get(grantee, grantee))


def token(text: str) -> str:
    """A token as in header names: ASCII letters, digits, ``-_.`` and similar characters."""
    if not re.fullmatch(_TOKEN, text):
        raise ValueError(f"{text!r} is not a name: use letters, digits, '-', '_' and '.'")
    return text


def visible(text: str) -> str:
    """Non-empty printable ASCII, the only text that is safe in a header."""
    if not re.fullmatch(_VISIBLE, text):
        if not text:
            raise ValueError("the value is empty")
        raise ValueError(f"value {text!r}: only printable ASCII characters can be sent in a header")
    return text


def content_type(text: str) -> str:
    """``guess``, ``magic``, or a type such as ``text/html; charset=utf-8``."""
    if text not in ("guess", "magic") and not (
        re.fullmatch(_TYPE, text) and re.fullmatch(_VISIBLE, text)
    ):
        raise ValueError(f"{text!r} is not a type: write guess, magic, or one such as text/html")
    return text


def gzip_type(text: str) -> str:
    """``guess``, ``all``, or a type such as ``text/html``, without parameters."""
    if text not in ("guess", "all") and (";" in text or not re.fullmatch(_TYPE, text)):
        raise ValueError(f"{text!r} is not a type: write guess, all, or one such as text/html")
    return text.lower()


def gzip_suffix(text: str) -> str:
    """What is added to the name of a compressed file: it ends in ``.gz``."""
    if not text.endswith(".gz") or "/" in text or "\0" in text:
        raise ValueError(f"{text!r} is not a suffix such as .gz: end it in .gz, without a slash")
    return text


def include(text: str) -> tuple[str, str]:
    """A pattern of names to include; it shares an ordered list with ``exclude``."""
    return "include", _glob(text)


def exclude(text: str) -> tuple[str, str]:
    """A pattern of names to exclude."""
    return "exclude", _glob(text)


def endpoint(text: str) -> str:
    """``[http[s]://]HOST[:PORT][/PATH]``, without a trailing slash."""
    if "@" in text:  # not shown: it may hold a password
        raise ValueError("the URL must not contain credentials; give them in the environment")
    found = re.fullmatch(_ENDPOINT, text)
    if not found or (found[3] and not 0 < int(found[3]) < 65536):
        raise ValueError(f"{text!r} is not of the form http[s]://HOST[:PORT][/PATH]")
    return text.rstrip("/")


def bucket(text: str) -> str:
    """A bucket's name, given as ``NAME`` or ``s3://NAME``."""
    name = text.removeprefix("s3://").removesuffix("/")
    try:
        place = parse_place(f"s3://{name}")
    except UsageError:
        place = None
    if place is None or place.prefix or access_point(place.bucket):
        raise ValueError(f"{text!r} is not a bucket name (3 to 63 of a-z, 0-9, . and -)")
    return name


def one_of(text: str, *choices: str) -> str:
    """One of ``choices``."""
    if text not in choices:
        raise ValueError(f"{text!r} is unknown; choose from {', '.join(choices)}")
    return text


def mode(text: str) -> Mode:
    """One of the modes."""
    return Mode(one_of(text, *(each.value for each in Mode)))


def compare(text: str) -> Compare:
    """One of the ways to compare."""
    return Compare(one_of(text, *(each.value for each in Compare)))


def source(text: str) -> Source:
    """A file or directory to upload."""
    if not text:
        raise UsageError("SOURCE '' is empty; name a directory or a file, '.' for this one")
    check_no_stream(text, "SOURCE", "put reads files only")
    _check_path(text, "SOURCE")
    if text.startswith("s3://"):
        raise UsageError(f"SOURCE {text!r} is not a file: the destination, and only it, is s3://")
    return Source(text)


def directory(text: str) -> str:
    """The directory to write files to."""
    if not text:
        raise UsageError("DIRECTORY '' is empty; '.' means this one")
    check_no_stream(text, "DIRECTORY", "get writes files only")
    _check_path(text, "DIRECTORY")
    if text.startswith("s3://"):
        raise UsageError(f"DIRECTORY {text!r} is a bucket: use s3pp copy")
    return text


def dest(text: str) -> Place:
    """The destination; its prefix is part of a key, and does not end in ``*``."""
    place = parse_place(text)
    _check_utf8(text, place.prefix, "destination")
    if text.endswith("*"):
        raise UsageError(
            f"destination {text!r} ends in *, which means many keys, and only of a source:"
            f" drop the *, or write {text + '/'!r} if it belongs to the name"
        )
    return place


def exact_dest(text: str) -> Place:
    """The destination whose prefix is the key of a single object."""
    place = dest(text)
    if not place.prefix or text.endswith("/"):
        example = f"s3://{place.bucket}/{place.key('NAME')}"
        raise UsageError(f"destination {text!r} does not name the object: write {example}")
    return place


def origin(text: str) -> Origin:
    """The objects to read."""
    found = parse_origin(text)
    _check_utf8(text, found.prefix, "source")
    return found


def exact_origin(text: str) -> Origin:
    """The single object to read, whose key is the whole prefix."""
    found = origin(text)
    if found.single is None or text.endswith("/"):
        raise UsageError(f"source {text!r} does not name one object, as '-' needs: write its key")
    return found.alone


def check_no_stream(text: str | None, argument: str, instead: str) -> None:
    """Raise ``UsageError`` for ``-`` where standard streams are not supported.

    Other programs treat it as one, so a file of that name would be surprising. ``instead`` is the
    end of the message, and says what is supported.
    """
    if text == "-":
        raise UsageError(
            f"{argument} '-' would be a standard stream, and {instead}: './-' is the name '-'"
        )


def _check_path(text: str, argument: str) -> None:
    if fault := _path_fault(text):
        raise UsageError(f"{argument} {text!r} {fault}")


def _path_fault(text: str) -> str | None:
    """Why no file can have this path, which is possible for texts of a program only."""
    if "\0" in text:
        return "has a NUL byte, and no path can: leave it out"
    try:
        os.fsencode(text)
    except UnicodeEncodeError:
        return "has a surrogate that stands for no byte, and no path can: os.fsdecode makes paths"
    return None


def _check_utf8(text: str, prefix: str, argument: str) -> None:
    try:
        prefix.encode()
    except UnicodeEncodeError:
        raise UsageError(f"{argument} {text!r} is not UTF-8, as keys must be") from None


def _glob(text: str) -> str:
    if not text:
        raise ValueError("the pattern is empty and would match nothing; leave it out")
    return text


def _pair(text: str, separator: str, form: str) -> tuple[str, str]:
    name, found, value = text.partition(separator)
    if not found or not name:
        raise ValueError(f"{text!r} is not of the form {form}")
    return name, value.strip(" ")


def _length(text: str) -> float | None:
    """Seconds, or None if ``text`` is not a length of time."""
    found = re.fullmatch(_DURATION, text)
    length = float(found[1]) * _FACTOR[found[2].lower()] if found else math.inf
    return length if math.isfinite(length) else None


def _timestamp(text: str) -> float:
    from datetime import datetime  # costs milliseconds that few command lines need

    if re.fullmatch(_DATE, text):
        text += "T00:00:00"
    # Python 3.10 does not know the Z.
    return datetime.fromisoformat(re.sub("[Zz]$", "+00:00", text)).timestamp()
