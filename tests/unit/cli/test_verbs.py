"""The verbs' options, as the fields declare them."""

from __future__ import annotations

import re
from dataclasses import Field
from typing import Any

import pytest

from s3pp.args import values
from s3pp.args.building import declared_fields
from s3pp.args.verbs import VERBS, parser
from s3pp.option import OPTIONS, Option

DECLARED = {path: field for path, field in declared_fields().items() if OPTIONS in field.metadata}
EACH = [
    pytest.param(field, option, id=option.flags[-1])
    for field in DECLARED.values()
    for option in field.metadata[OPTIONS]
]


def test_every_option_is_of_some_verb_and_every_verb_has_options_that_are_declared() -> None:
    listed = {path for verb in VERBS.values() for group in verb.groups for path in group.fields}
    assert listed == set(DECLARED)


def test_options_stand_where_users_look_for_them() -> None:
    for verb in ("put", "get", "copy"):
        titles = {path: group.title for group in VERBS[verb].groups for path in group.fields}
        assert (titles["mode"], titles["dry_run"]) == ("transfer", "transfer")
        assert (titles["output.journal"], titles["output.log_file"]) == ("output", "output")


@pytest.mark.parametrize("verb", VERBS)
def test_an_option_stands_once_in_a_verb(verb: str) -> None:
    listed = [path for group in VERBS[verb].groups for path in group.fields]
    assert len(listed) == len(set(listed))
    titles = [group.title for group in VERBS[verb].groups]
    assert len(titles) == len(set(titles))


@pytest.mark.parametrize(("field", "option"), EACH)
def test_help_is_one_line_and_gives_the_default_that_holds(
    field: Field[Any], option: Option
) -> None:
    for verb in VERBS:
        told = option.help_of(verb).format(default=field.default)
        assert told.isprintable()
        assert not told.endswith(".")
        for said in re.findall(r"\(default: (\w+)\)", told):
            assert option.value is not None
            read = getattr(values, option.value.reader)
            assert read(said, *option.value.bounds) == field.default


@pytest.mark.parametrize(("field", "option"), EACH)
def test_a_text_for_one_verb_is_for_a_verb_that_has_the_option(
    field: Field[Any], option: Option
) -> None:
    verbs = {verb for verb in VERBS if option.flags[0] in taken(verb)}
    if "--quiet" in option.flags:
        verbs.add("merge")  # which has no job
    if "--dask" in option.flags:
        verbs.add("doctor")  # whose parser is its own
    assert set(option.verbs or {}) < verbs, "the text of all others is the general one"


def taken(verb: str) -> set[str]:
    return {flag for action in parser(verb)._actions for flag in action.option_strings}
