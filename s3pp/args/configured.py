"""The job of a command line, with the options that files and variables set."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from s3pp.args import verbs
from s3pp.args.configuration import find_sources, take_configuration
from s3pp.errors import UsageError
from s3pp.job import Job

if TYPE_CHECKING:
    from s3pp.args.defaults import Setting

_DELETE = "deletion.extraneous"


class ConfiguredJob(NamedTuple):
    """A job, and what the user is to know of the options that no command line has given."""

    job: Job
    notices: tuple[str, ...] = ()


def build_configured(verb: str, argv: Sequence[str], environ: Mapping[str, str]) -> ConfiguredJob:
    """Build the job that a command line describes.

    Raises ``UsageError``, also for a file of options that is wrong; and ``HelpRequested``.
    """
    named, given = verbs.parser(verb).parse(argv)
    sources = find_sources(take_configuration(given), environ)
    if not any(sources[:3]):
        return ConfiguredJob(verbs.job_of(verb, named, given))
    from s3pp.args.defaults import Defaults  # what few runs need
    from s3pp.args.precedence import applicable_defaults

    defaults = Defaults(sources, time.time())
    if verb == "retry":
        return ConfiguredJob(verbs.job_of(verb, named, given, lambda of: _values(defaults.of(of))))
    kept = applicable_defaults(verbs.VERBS[verb].read(named), given, defaults.of(verb))
    try:
        job = verbs.job_of(verb, named, {**_values(kept), **given})
    except UsageError as error:
        raise UsageError(_with_places(str(error), kept)) from None
    return ConfiguredJob(job, tuple(_notices(job, kept)))


def _values(settings: Mapping[str, Setting]) -> dict[str, Any]:
    return {path: setting.value for path, setting in settings.items()}


def _with_places(text: str, kept: Mapping[str, Setting]) -> str:
    """Return a message that names options, with the places where those of ``kept`` are set."""
    from s3pp.args.option_names import named_options

    flags = re.findall(r"--[a-z][a-z0-9-]*", text)
    named = [named_options().get(flag.removeprefix("--")) for flag in dict.fromkeys(flags)]
    places = [
        f"--{option.name} is set by {kept[option.path].where}"
        for option in named
        if option is not None and option.path in kept
    ]
    return f"{text} ({'; '.join(places)})" if places else text


def _notices(job: Job, kept: Mapping[str, Setting]) -> list[str]:
    """Return what is said before the run: that it deletes; with ``-v`` where options are set."""
    verbosity, found = job.output.verbosity, []
    if job.deletion.extraneous and _DELETE in kept and verbosity >= 0:
        found.append(f"--delete is set by {kept[_DELETE].where} (--no-delete takes it back)")
    if kept and verbosity > 0:
        found.append(f"options are set by {_places(kept)} (s3pp config {job.title} shows them)")
    return found


def _places(kept: Mapping[str, Setting]) -> str:
    return ", ".join(sorted({setting.where.name for setting in kept.values()}))
