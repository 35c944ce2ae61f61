"""Options by the names that they have in files and variables: the long ones, without dashes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import Field
from functools import cache
from types import MappingProxyType
from typing import Any, NamedTuple

from s3pp.args.building import declared_fields
from s3pp.args.verbs import VERBS
from s3pp.option import OPTIONS, Option, long_name, opposite_of


class NamedOption(NamedTuple):
    """An option, the field that it sets, and the verbs that have it."""

    name: str
    path: str  # of the field
    field: Field[Any]
    option: Option
    verbs: frozenset[str]
    inverted: bool = False  # of an option without a value: true means that it is not given

    @property
    def repeated(self) -> bool:
        """Whether it takes several values."""
        return isinstance(self.field.default, tuple)

    @property
    def counts(self) -> bool:
        """Whether it is counted, as ``-v``."""
        return self.option.value is None and type(self.field.default) is int


@cache
def named_options() -> Mapping[str, NamedOption]:
    """Every option of any verb, by its name, in the order of the help texts.

    One without a value has two names: ``gzip`` and ``no-gzip``, ``no-resume`` and ``resume``.
    """
    verbs_of: dict[str, set[str]] = {}
    for verb, spec in VERBS.items():
        for path in (path for group in spec.groups for path in group.fields):
            verbs_of.setdefault(path, set()).add(verb)
    declared, found = declared_fields(), dict[str, NamedOption]()
    for path, verbs in verbs_of.items():
        for each in _of_field(path, declared[path], frozenset(verbs)):
            found.setdefault(each.name, each)
    return MappingProxyType(found)


def _of_field(path: str, field: Field[Any], verbs: frozenset[str]) -> Iterator[NamedOption]:
    several = field.metadata[OPTIONS]
    for option in several:
        yield NamedOption(long_name(option), path, field, option, verbs)
    if several[0].value is None and len(several) == 1 and type(field.default) is not int:
        name = opposite_of(long_name(several[0]))
        yield NamedOption(name, path, field, several[0], verbs, inverted=True)
