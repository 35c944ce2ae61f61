"""The file of ``--rules``: attributes of the objects whose names match patterns.

::

    [[rule]]
    match = ["*.html", "/index*"]        # a pattern, or several
    content-type = "text/html; charset=utf-8"
    cache-control = "max-age=60"
    headers = { Content-Language = "en" }
    metadata = { team = "web" }
    tags = { project = "site" }
    storage-class = "STANDARD_IA"
    acl = "public-read"
    gzip = true                          # or false, or types as of --gzip-type

Every ``UsageError`` names the file and the line.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from types import MappingProxyType
from typing import Any, Protocol

from s3pp.args import values
from s3pp.args.headers import Pairs, owner_of
from s3pp.args.toml_document import TomlDocument, kind_of, read_content
from s3pp.args.toml_lines import Path, lines_of_tables
from s3pp.attributes import ObjectRule, Objects
from s3pp.errors import UsageError
from s3pp.job import Compare, Job
from s3pp.limits import ACLS
from s3pp.sources.globs import parse_glob

_KIND = "rule"
_COPIED = ("content-type", "cache-control", "headers", "metadata")


class GivenOptions(Protocol):
    """The options of the command line that rules add to."""

    @property
    def headers(self) -> Pairs:
        """Of ``--header``."""

    @property
    def metadata(self) -> Pairs:
        """Of ``--metadata``."""


@dataclass
class RuleSettings:
    """What one rule sets, checked; None, or empty: it does not."""

    patterns: tuple[str, ...] = ()
    content_type: str | None = None
    cache_control: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    metadata: Mapping[str, str] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    storage_class: str | None = None
    acl: str | None = None
    gzip: tuple[str, ...] | None = None  # types; (): nothing is compressed

    @property
    def all_headers(self) -> dict[str, str]:
        """The headers, Cache-Control among them."""
        own = {} if self.cache_control is None else {"Cache-Control": self.cache_control}
        return {**self.headers, **own}

    def combined(self, given: GivenOptions) -> dict[str, Any]:
        """Return the options of ``CombinedOptions`` that differ from those given."""
        headers = given.headers
        if self.content_type is not None:
            headers = tuple(each for each in headers if each[0].lower() != "content-type")
        changed: dict[str, Any] = {
            "headers": _merge(headers, self.all_headers),
            "metadata": _merge(given.metadata, self.metadata),
        }
        if self.content_type is not None:
            changed["content_type"] = self.content_type
        if self.gzip is not None:
            changed |= {"gzip": bool(self.gzip), "gzip_types": self.gzip}
        return changed

    def objects(self, given: Objects) -> dict[str, Any]:
        """Return the fields of ``Objects`` that differ from those given."""
        named = {"storage_class": self.storage_class, "acl": self.acl}
        changed: dict[str, Any] = {name: value for name, value in named.items() if value}
        merged = {**dict(given.tags), **self.tags}
        return changed | {"tags": tuple(merged.items()), "rules_file": None}


def _merge(given: Pairs, own: Mapping[str, str]) -> Pairs:
    """Return the pairs given, without those of the same names, and a rule's own."""
    names = {name.lower() for name in own}
    return (*(each for each in given if each[0].lower() not in names), *own.items())


def read_rules(job: Job, attributes: Callable[[RuleSettings], Objects]) -> tuple[ObjectRule, ...]:
    """Read and check the file of ``job``.

    ``attributes`` returns those of objects that a rule matches. Raises ``UsageError``.
    """
    path = str(job.objects.rules_file)
    if job.is_stream:
        raise UsageError("--rules is about names below SOURCE, and '-' has none: leave it out")
    values.check_no_stream(path, "--rules", "rules are read from a file")
    document = _Document(path)
    rules = [_Rule(number, line, document, job) for number, line in enumerate(document.lines())]
    _check_duplicates(rules)
    return tuple(rule.made(attributes) for rule in rules)


def _read(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return read_content(file, f"--rules {path!r}")
    except OSError as error:
        raise UsageError(f"--rules {path!r} cannot be read: {error.strerror}") from None


class _Document(TomlDocument):
    """A file of rules."""

    def __init__(self, path: str) -> None:
        super().__init__(f"--rules {path!r}", _read(path))
        self.path = path

    def lines(self) -> list[int]:
        """Return the line of each rule. Raises ``UsageError`` for anything else in the document."""
        for key in self.content:
            if key != _KIND:
                raise self.fault((key,), f"has {key!r}, and only [[rule]] is allowed")
        rules = self.content.get(_KIND)
        if rules is None:
            raise self.fault(1, "has no rule: write [[rule]] before the settings of each")
        if not isinstance(rules, list) or not all(isinstance(each, dict) for each in rules):
            raise self.fault((_KIND,), "has no table [[rule]]: write double brackets")
        if not rules:
            raise self.fault((_KIND,), "has no rule: leave out --rules")
        lines = lines_of_tables(self.text, _KIND)
        if len(lines) == len(rules):
            return lines
        return [self.line((_KIND, number)) for number in range(len(rules))]


# One rule


class _Rule:
    """One table of the file."""

    def __init__(self, number: int, line: int, document: _Document, job: Job) -> None:
        """Check all of its values; ``line``: where it begins. Raises ``UsageError``."""
        self._path: Path = (_KIND, number)
        self._document = document
        self._table: Mapping[str, Any] = document.content[_KIND][number]
        self.line = line
        for key in self._table:
            self._check_key(key, job)
        self.settings = RuleSettings()
        for key, value in self._table.items():
            _READERS[key](self, value)
        self._check_whole()

    def made(self, attributes: Callable[[RuleSettings], Objects]) -> ObjectRule:
        """Return the rule with all attributes of its objects."""
        try:
            objects = attributes(self.settings)
        except UsageError as error:
            raise self.fault((), str(error)) from None
        return ObjectRule(self.settings.patterns, objects, self._document.path, self.line)

    def fault(self, path: Path, what: str) -> UsageError:
        """Return the error that something is wrong with a value."""
        return self._document.fault((*self._path, *path), what)

    def _check_key(self, key: str, job: Job) -> None:
        if key not in _READERS:
            raise self.fault((key,), f"unknown key {key!r}: choose from {', '.join(_READERS)}")
        if job.verb == "copy" and key == "gzip":
            raise self.fault((key,), "gzip is for put: a copy keeps the data as it is")
        if job.verb == "copy" and job.objects.directive == "copy" and key in _COPIED:
            why = "needs --metadata-directive replace: copy keeps those of the source"
            raise self.fault((key,), f"{key} {why}")
        if key == "gzip" and self._table[key] and job.compare is not Compare.ETAG:
            why = "the file and the compressed object differ in size; use --compare etag"
            raise self.fault((key,), f"gzip contradicts --compare {job.compare.value}: {why}")

    def _check_whole(self) -> None:
        if not self.settings.patterns:
            raise self.fault((), "has no match: name the patterns of the objects that it is for")
        names = {name.lower() for name in self.settings.headers}
        for key in ("content-type", "cache-control"):
            if key in names and key in self._table:
                raise self.fault((key,), f"{key} is among the headers too; give it once")

    def text(self, path: Path, value: object, read: Callable[[str], Any]) -> Any:
        """Return a string as ``read`` has it. Raises ``UsageError``."""
        if not isinstance(value, str):
            raise self.fault(path, f"{_shown(path)} is {kind_of(value)}, and must be a string")
        try:
            return read(value)
        except ValueError as error:
            raise self.fault(path, f"{_shown(path)}: {error}") from None

    def texts(self, key: str, value: object, read: Callable[[str], Any]) -> tuple[Any, ...]:
        """Return one string, or those of an array. Raises ``UsageError``."""
        if isinstance(value, str):
            return (self.text((key,), value, read),)
        if not isinstance(value, list) or not value:
            what = "an empty array" if value == [] else kind_of(value)
            raise self.fault((key,), f"{key} is {what}, and must be a string, or an array of some")
        return tuple(self.text((key,), each, read) for each in value)

    def table(self, key: str, value: object, read: Callable[[str, str], str]) -> dict[str, str]:
        """Return the texts of a table; ``read`` takes a name and a text. Raises ``UsageError``."""
        if not isinstance(value, dict):
            raise self.fault((key,), f"{key} is {kind_of(value)}, and must be a table of strings")
        found = {
            name: self.text((key, name), each, partial(read, name)) for name, each in value.items()
        }
        names = [name.lower() for name in found]
        for name in found:
            if key != "tags" and names.count(name.lower()) > 1:
                raise self.fault((key, name), f"{name.lower()} is given twice; give it once")
        return found


def _shown(path: Path) -> str:
    return ".".join(map(str, path))


def _read_match(rule: _Rule, value: object) -> None:
    rule.settings.patterns = rule.texts("match", value, _check_pattern)


def _check_pattern(text: str) -> str:
    try:
        parse_glob(text)
    except ValueError as fault:
        raise ValueError(f"pattern {text!r}: {fault}") from None
    return text


def _read_type(rule: _Rule, value: object) -> None:
    rule.settings.content_type = rule.text(("content-type",), value, values.content_type)


def _read_cache(rule: _Rule, value: object) -> None:
    rule.settings.cache_control = rule.text(("cache-control",), value, values.visible)


def _read_headers(rule: _Rule, value: object) -> None:
    rule.settings.headers = rule.table("headers", value, _header)


def _header(name: str, text: str) -> str:
    values.token(name)
    if reason := owner_of(name.lower()):
        raise ValueError(reason)
    return values.visible(text.strip(" "))


def _read_metadata(rule: _Rule, value: object) -> None:
    rule.settings.metadata = rule.table("metadata", value, _metadata)


def _metadata(name: str, text: str) -> str:
    values.token(name)
    return values.visible(text.strip(" ")) if text.strip(" ") else ""


def _read_tags(rule: _Rule, value: object) -> None:
    rule.settings.tags = rule.table("tags", value, _tag)


def _tag(name: str, text: str) -> str:
    if "=" in name:
        raise ValueError(f"{name!r} contains '=', which keys of tags do not have here")
    return values.tag(f"{name}={text}")[1]


def _read_class(rule: _Rule, value: object) -> None:
    rule.settings.storage_class = rule.text(("storage-class",), value, values.token)


def _read_acl(rule: _Rule, value: object) -> None:
    rule.settings.acl = rule.text(("acl",), value, lambda text: values.one_of(text, *ACLS))


def _read_gzip(rule: _Rule, value: object) -> None:
    if isinstance(value, bool):
        rule.settings.gzip = ("all",) if value else ()
    else:
        rule.settings.gzip = rule.texts("gzip", value, values.gzip_type)


_READERS: Mapping[str, Callable[[_Rule, object], None]] = MappingProxyType(
    {
        "match": _read_match,
        "content-type": _read_type,
        "cache-control": _read_cache,
        "headers": _read_headers,
        "metadata": _read_metadata,
        "tags": _read_tags,
        "storage-class": _read_class,
        "acl": _read_acl,
        "gzip": _read_gzip,
    }
)


def _check_duplicates(rules: Sequence[_Rule]) -> None:
    """Raise ``UsageError`` for a pattern that is given twice: the second can never match."""
    seen: dict[str, _Rule] = {}
    for rule in rules:
        for pattern in rule.settings.patterns:
            if pattern in seen:
                first = f"line {seen[pattern].line}"
                what = f"the rule in {first} has the pattern {pattern!r} too, and is the first"
                raise rule.fault(("match",), f"{what}: drop one")
            seen[pattern] = rule
