"""``s3pp retry JOURNAL``: the first run of a journal again, without what the journal has as done.

::

    the line ``start`` ──▶ its command line, parsed ─┐
    the options of ``retry`` ────────────────────────┴─▶ Job, with --journal, --retry-from JOURNAL

An option that is given for the retry replaces that of the journal. The working directory becomes
that of the first run, in which its relative names begin; those that are given begin here.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from s3pp.args import verbs
from s3pp.args.building import declared_fields
from s3pp.args.file_names import place_of
from s3pp.args.invocation import CREDENTIALS, NAMES, SOURCES, is_of_keys
from s3pp.args.verbs import DefaultsOf
from s3pp.errors import HelpRequested, UsageError
from s3pp.job import STREAM, Job
from s3pp.localfs.paths import shown
from s3pp.option import OPTIONS, long_name
from s3pp.sources.journal_beginning import RETRIED, first_start

SCHEMA = 2  # of journals: those before do not say how their runs were called
_AGAIN = "give the same command again, with --retry-from"


def retry_job(path: str, given: Mapping[str, Any], withheld: DefaultsOf) -> Job:
    """Return the job of a retry of the journal at ``path``. Raises ``UsageError``.

    ``withheld`` returns the defaults of a verb, of which what the journal lacks is taken.
    """
    start = first_start(path, "retry")
    fault = _fault(start)
    if fault is None:
        given = {**_supplied(start, withheld), **given}
        fault = _missing(start, given)
    if fault is not None:
        raise UsageError(f"retry '{shown(path)}': {fault}")
    verb, *words = start["command"][1:]
    try:
        places, recorded = verbs.parser(verb).parse(words)
    except (UsageError, HelpRequested) as error:
        raise UsageError(f"retry '{shown(path)}': the command in it was changed: {error}") from None
    job = verbs.job_of(verb, places, _merge(verb, recorded, given, start=start, path=path))
    called = job.output.invocation
    assert called is not None, "there is a journal"
    called = called._replace(directory=start["directory"])
    return replace(job, output=replace(job.output, invocation=called))


def _fault(start: Mapping[str, Any]) -> str | None:
    """Return why the run that begins with ``start`` cannot be retried; None if it can."""
    if not start:
        return "it has no run: name a journal of put, get or copy"
    if start.get("schema") != SCHEMA:
        later = isinstance(start.get("schema"), int) and start["schema"] > SCHEMA
        version = "a later" if later else "an older"
        return f"its first run is of {version} version, whose settings cannot be read: {_AGAIN}"
    for kind, what in (("dry_run", "a dry run"), ("sandbox", "in a sandbox, which is gone")):
        if start.get(kind):
            return f"its first run was {what}: nothing of it remains to be retried"
    command: Any = start.get("command")
    if not _is_command(command) or not isinstance(start.get("directory"), str):
        return f"its first line does not say how its run was called: {_AGAIN}"
    if command[1] not in RETRIED:
        return f"its first run is a {command[1]}: the same command given again does what is left"
    if STREAM in command[2:]:
        return "its first run is of a standard stream: give the same command again"
    if SOURCES in _withheld(start):
        return "a program has given names to its sources: call it again, with retry_from"
    return None


def _is_command(command: Any) -> bool:
    if not isinstance(command, list) or not all(isinstance(word, str) for word in command):
        return False
    return len(command) > 1 and command[1] in verbs.VERBS


def _withheld(start: Mapping[str, Any]) -> list[Any]:
    withheld = start.get("withheld")
    return withheld if isinstance(withheld, list) else []


def _supplied(start: Mapping[str, Any], withheld: DefaultsOf) -> dict[str, Any]:
    """Return what the journal lacks, as far as a file or a variable sets it."""
    names = _withheld(start)
    if not names:
        return {}
    defaults = withheld(start["command"][1])
    return {path: value for path, value in defaults.items() if _option(path) in names}


def _missing(start: Mapping[str, Any], given: Mapping[str, Any]) -> str | None:
    """Return what is not in the journal and has to be given; None if nothing is missing."""
    named = {_option(path) for path in given}
    names: Mapping[str, Callable[[], str]] = {
        CREDENTIALS: lambda: "its credentials, which a program has given: name a --profile",
        NAMES: lambda: "its names, which a program has given: name a file of them by --files-from",
    }
    for each in _withheld(start):
        if each in named or (each == CREDENTIALS and {"profile", CREDENTIALS} & named):
            continue
        secret = partial("--{}, as it may be secret: give it again".format, each)
        return f"it does not have {names.get(each, secret)()}"
    return None


def _option(path: str) -> str:
    """Return the name of the option, or the keyword, that sets ``path``."""
    if is_of_keys(path):
        return CREDENTIALS
    if path == "choosing.names":  # what a program gives in place of a file
        return NAMES
    several = declared_fields()[path].metadata[OPTIONS]
    return long_name(several[0])


def _merge(
    verb: str,
    recorded: Mapping[str, Any],
    given: Mapping[str, Any],
    *,
    start: Mapping[str, Any],
    path: str,
) -> dict[str, Any]:
    """Return the options of a retry, by the paths of the fields that they set."""
    recorded = _kept(recorded, given)
    accepted = {_option(each) for group in verbs.VERBS[verb].groups for each in group.fields}
    for name in map(_option, given):
        if name not in {*accepted, CREDENTIALS}:
            raise UsageError(f"--{name} is no option of {verb}, the command of JOURNAL")
    journal = os.path.abspath(path)
    earlier = [*_absolute(recorded, start["directory"]).pop("choosing.retry_from", []), journal]
    return {
        **_absolute(recorded, start["directory"]),
        "output.journal": journal,
        **_absolute(given, os.getcwd()),
        "choosing.retry_from": earlier,
    }


def _kept(recorded: Mapping[str, Any], given: Mapping[str, Any]) -> Mapping[str, Any]:
    """Leave out the options of a cluster where the retry is to have none (``--no-dask``)."""
    if given.get("cluster.dask", "") is not None:
        return recorded
    return {path: value for path, value in recorded.items() if not path.startswith("cluster.")}


def _absolute(given: Mapping[str, Any], directory: str) -> dict[str, Any]:
    """Return options with the paths of files that ``directory`` is where they begin."""
    return {path: _placed(path, value, directory) for path, value in given.items()}


def _placed(path: str, value: Any, directory: str) -> Any:
    several = declared_fields()[path].metadata.get(OPTIONS, ())
    kinds = [option.value for option in several if option.value is not None]
    if not kinds or kinds[0].reader != "path" or value is None:
        return value
    if isinstance(value, list):
        return [place_of(kinds[0], each, directory) for each in value]
    return place_of(kinds[0], value, directory)
