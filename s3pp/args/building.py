"""Construction of a ``Job`` from parsed options.

Most options are fields of it. ``CombinedOptions`` holds those that set a field only in combination.
Options that contradict or require each other, which argparse cannot check, are checked here. Every
``UsageError`` names the options and what to change.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import Field, dataclass, fields, replace
from importlib.util import find_spec
from types import MappingProxyType
from typing import Any

from s3pp.access import Access, Keys
from s3pp.args.clusters import check_cluster, fit_processes
from s3pp.args.headers import METADATA, Pairs, check_headers, check_metadata, check_tags
from s3pp.args.selection import check_compare, check_plan, check_selection, check_verification
from s3pp.args.values import check_no_stream
from s3pp.attributes import Objects
from s3pp.errors import UsageError
from s3pp.integrity.checksums import ALGORITHMS
from s3pp.job import Job, Mode
from s3pp.limits import AUTO
from s3pp.option import Option, Value, option, options
from s3pp.output import Output
from s3pp.places import access_point

# The types s3-parallel-put compressed by default, and their successors' names.
DEFAULT_GZIP_TYPES = frozenset(
    {
        "application/javascript",
        "application/json",
        "application/x-javascript",
        "application/xml",
        "image/svg+xml",
        "text/css",
        "text/csv",
        "text/html",
        "text/javascript",
        "text/plain",
        "text/xml",
    }
)

_LIBMAGIC = ("magic", "pylibmagic")  # modules of the extra "magic"


@dataclass(frozen=True)
class CombinedOptions:
    """Options that set a field of ``Job`` only together with others, or in another form."""

    content_type: str | None = option(
        None,
        "--content-type",
        Value("TYPE", "content_type"),
        help="a type; guess: by name (default); magic: by name, else by content",
        copy="with --metadata-directive replace: a type; guess: by name",
    )
    headers: Pairs = option(
        (),
        "--header",
        Value("NAME:VALUE", "header"),
        help="a header, such as 'Cache-Control:max-age=60'",
        copy="with --metadata-directive replace: such as 'Cache-Control:max-age=60'",
    )
    metadata: Pairs = option(
        (),
        "--metadata",
        Value("K=V", "metadata"),
        help="user metadata",
        copy="with --metadata-directive replace: user metadata",
    )
    gzip: bool = option(False, "--gzip", help="compress the types of --gzip-type")
    gzip_types: tuple[str, ...] = option(
        (),
        "--gzip-type",
        Value("TYPE", "gzip_type"),
        help="a type to compress; guess: the usual text types (default); all",
    )
    secure: bool | None = options(
        None,
        Option(("--secure",), "https if the endpoint URL has no scheme (default)"),
        Option(("--insecure",), "http if the endpoint URL has no scheme", sets=False),
    )
    source_endpoint_url: str | None = option(
        None,
        "--source-endpoint-url",
        Value("URL", "endpoint"),
        help="endpoint of the source, if it is a store other than AWS",
    )
    source_region: str | None = option(
        None, "--source-region", Value("REGION", "token"), help="the region of the source's bucket"
    )
    source_profile: str | None = option(
        None,
        "--source-profile",
        Value("NAME", "visible"),
        help="a profile of the AWS configuration, for the source",
    )
    list_profile: str | None = option(
        None,
        "--list-profile",
        Value("NAME", "visible"),
        help="a profile of the AWS configuration, to list the destination with",
    )
    # Those of the source, and those that list the destination: see ``Access.credentials``.
    source_credentials: Keys | None = None
    list_credentials: Keys | None = None
    verbose: int = option(
        0, "-v", "--verbose", help="print completed objects; -vv: skipped ones as well"
    )
    quiet: int = option(
        0,
        "-q",
        "--quiet",
        help="print nothing unless something fails; -qq: only errors that end the run",
        list="no line per key; -qq: no failures and no summary either",
        du="only the sum of all; -qq: no failures and no sum either",
        merge="print nothing if everything was covered, and else no line per shard",
    )


COMBINED = "combined"
# The fields of ``Job`` that hold fields of their own.
_NAMES = (
    "choosing deletion objects download parts access speed cluster output locking verification"
    " listing"
)
_SECTIONS: Mapping[str, type] = MappingProxyType(
    {name: type(getattr(Job(""), name)) for name in _NAMES.split()}
)


def declared_fields() -> dict[str, Field[Any]]:
    """Every field that an option may set, by its path: ``mode``, ``choosing.limit``."""
    found: dict[str, Field[Any]] = {each.name: each for each in fields(Job)}
    for section, kind in {**_SECTIONS, COMBINED: CombinedOptions}.items():
        found |= {f"{section}.{each.name}": each for each in fields(kind)}
    return found


def build(job: Job, given: Mapping[str, Any]) -> Job:
    """Return ``job`` with the given options, whose keys are paths of ``declared_fields``.

    Raises ``UsageError`` for contradictory or incomplete combinations.
    """
    sections: defaultdict[str, dict[str, Any]] = defaultdict(dict)
    for path, value in given.items():
        section, _, name = path.rpartition(".")
        sections[section][name] = tuple(value) if isinstance(value, list) else value
    parts = {name: replace(getattr(job, name), **sections[name]) for name in _SECTIONS}
    parts["cluster"] = replace(parts["cluster"], processes=sections["speed"].get("processes"))
    return _settle(replace(job, **sections[""], **parts), CombinedOptions(**sections[COMBINED]))


def _settle(job: Job, combined: CombinedOptions) -> Job:
    """Check combinations of options, and set the fields that depend on several."""
    check_selection(job)
    check_cluster(job)
    if job.plan is not None:
        check_plan(job)
        job = replace(job, dry_run=True)  # by which a plan is made
    if job.exit_code and not (job.dry_run or job.mode is Mode.ADD):
        needs = "--exit-code needs --dry-run, or --mode add"
        raise UsageError(f"{needs}: other runs exit 1 where something fails")
    objects = _with_rules(job, combined)
    check_compare(job, packs=bool(objects.gzip_types))
    if job.verifies:
        check_verification(job, packs=bool(objects.gzip_types))
    access = _access(job, combined)
    return replace(
        job,
        objects=objects,
        access=access,
        source_access=_source_access(job, combined, access),
        listing_access=_listing_access(job, combined, access),
        speed=fit_processes(job.speed),
        output=_output(job.output, combined),
    )


# What objects are given


def _with_rules(job: Job, combined: CombinedOptions) -> Objects:
    objects = _objects(job, combined)
    if objects.rules_file is None:
        return objects
    from s3pp.args.object_rules import RuleSettings, read_rules

    def attributes(rule: RuleSettings) -> Objects:
        given = replace(job.objects, **rule.objects(job.objects))
        return _objects(replace(job, objects=given), replace(combined, **rule.combined(combined)))

    return replace(objects, rules=read_rules(job, attributes))


def _objects(job: Job, combined: CombinedOptions) -> Objects:
    if job.verb == "copy":
        _check_copied(job.objects, combined)
    check_headers(combined.headers, gzip=combined.gzip)
    headers, metadata = _metadata(combined)
    check_metadata(metadata)
    check_tags(job.objects.tags)
    content_type, headers = _content_type(combined.content_type, headers)
    objects = replace(
        job.objects,
        content_type=content_type,
        gzip_types=_gzip_types(combined),
        headers=headers,
        metadata=metadata,
    )
    _check_needs(objects)
    return objects


def _check_copied(objects: Objects, combined: CombinedOptions) -> None:
    """Refuse options that have no effect while a copy keeps the source's type and headers."""
    given = {
        "--content-type": combined.content_type is not None,
        "--header": bool(combined.headers),
        "--metadata": bool(combined.metadata),
    }
    for flag, there in given.items():
        if there and objects.directive == "copy":
            raise UsageError(f"{flag} needs --metadata-directive replace: copy keeps all")
    if combined.content_type == "magic":
        raise UsageError("--content-type magic reads files; for copy, give a type, or guess")


def _check_needs(objects: Objects) -> None:
    if objects.sse_kms_key_id is not None and objects.sse != "aws:kms":
        raise UsageError("--sse-kms-key-id needs --sse aws:kms")
    kind = objects.checksum
    if kind != AUTO and not ALGORITHMS[kind].is_available:
        missing = "needs the package awscrt, which cannot be imported"
        raise UsageError(f"--checksum {kind} {missing}: install it, or choose another")
    if objects.content_type == "magic" and not all(map(find_spec, _LIBMAGIC)):
        raise UsageError(
            "--content-type magic needs the packages python-magic and pylibmagic, which cannot be"
            " imported: pip install 's3pp[magic]'"
        )


def _metadata(combined: CombinedOptions) -> tuple[Pairs, Pairs]:
    """Split into headers and metadata, which can be spelt as headers too."""
    ours = [pair for pair in combined.headers if pair[0].lower().startswith(METADATA)]
    spelt = [(name[len(METADATA) :], value) for name, value in ours]
    rest = tuple(pair for pair in combined.headers if pair not in ours)
    return rest, (*spelt, *combined.metadata)


def _content_type(combined: str | None, headers: Pairs) -> tuple[str, Pairs]:
    """The content type, which can be spelt as a header too, and the other headers."""
    given = [value for name, value in headers if name.lower() == "content-type"]
    if given and combined is not None:
        raise UsageError("--header Content-Type contradicts --content-type; drop one")
    rest = tuple(pair for pair in headers if pair[0].lower() != "content-type")
    return given[0] if given else combined or "guess", rest


def _gzip_types(combined: CombinedOptions) -> frozenset[str]:
    if combined.gzip_types and not combined.gzip:
        raise UsageError("--gzip-type needs --gzip: it says which types that compresses")
    if not combined.gzip:
        return frozenset()
    named = set(combined.gzip_types or ["guess"])
    if "all" in named:
        return frozenset({"all"})
    return frozenset(named - {"guess"}) | (DEFAULT_GZIP_TYPES if "guess" in named else frozenset())


# How stores are reached


def _access(job: Job, combined: CombinedOptions) -> Access:
    """The access settings of the bucket; for a copy, of the destination."""
    access = job.access
    if job.sandbox:
        _check_sandbox(job, combined)
    _check_credentials(access, combined)
    if access.ca_bundle is not None and not access.verify_ssl:
        raise UsageError("--ca-bundle and --no-verify-ssl contradict each other; drop one")
    return replace(
        access,
        endpoint_url=_with_scheme(access.endpoint_url, combined.secure, "--endpoint-url"),
        secure=combined.secure is not False,
        # With a profile for each side, its settings take precedence over variables for both.
        own_settings=access.profile is not None and combined.source_profile is not None,
    )


def _check_credentials(access: Access, combined: CombinedOptions) -> None:
    """Refuse credentials that are given twice, or where requests are not signed."""
    unsigned = not access.sign
    contradictions = {
        "credentials and --no-sign-request": unsigned and access.credentials,
        "source_credentials and --no-sign-request": unsigned and combined.source_credentials,
        "list_credentials and --no-sign-request": unsigned and combined.list_credentials,
        "--list-profile and --no-sign-request": unsigned and combined.list_profile,
        "source_credentials and --source-profile": (
            combined.source_credentials and combined.source_profile
        ),
        "list_credentials and --list-profile": combined.list_credentials and combined.list_profile,
    }
    for both, given in contradictions.items():
        if given:
            raise UsageError(f"{both} contradict each other; drop one")


def _source_access(job: Job, combined: CombinedOptions, access: Access) -> Access | None:
    """The access settings of a copy's source; None: the same as the destination's."""
    named = (combined.source_endpoint_url, combined.source_region, combined.source_profile)
    endpoint, region, profile = named
    credentials = combined.source_credentials
    if not any(named) and credentials is None:
        return None
    if job.sandbox:
        raise UsageError("--sandbox is source and destination; drop the --source- options")
    # Another store's region says nothing about this one.
    return replace(
        access,
        endpoint_url=_with_scheme(endpoint, combined.secure, "--source-endpoint-url")
        or access.endpoint_url,
        region=region or (access.region if endpoint is None else None),
        profile=profile or access.profile,
        credentials=credentials or (access.credentials if profile is None else None),
        own_settings=profile is not None,
    )


def _listing_access(job: Job, combined: CombinedOptions, access: Access) -> Access | None:
    """The access settings by which the destination is listed; None: those it is written with."""
    profile, credentials = combined.list_profile, combined.list_credentials
    if profile is None and credentials is None:
        return None
    if job.mode is Mode.STUPID:
        raise UsageError("--list-profile has no use with --mode stupid, which lists nothing")
    if job.is_stream:
        raise UsageError("--list-profile has no use with '-', for which nothing is listed")
    if job.sandbox:
        raise UsageError("--sandbox and --list-profile contradict each other; drop one")
    return replace(
        access,
        profile=profile or access.profile,
        credentials=credentials,
        sign=True,
        own_settings=False,
    )


def _with_scheme(endpoint: str | None, secure: bool | None, flag: str) -> str | None:
    if endpoint is None:
        return None
    scheme = "http" if secure is False else "https"
    if "://" not in endpoint:
        return f"{scheme}://{endpoint}"
    if secure is not None and not endpoint.startswith(f"{scheme}://"):
        other = "--secure" if secure else "--insecure"
        raise UsageError(f"{other} contradicts {flag} {endpoint}; drop one")
    return endpoint


def _check_sandbox(job: Job, combined: CombinedOptions) -> None:
    """Refuse what the sandbox lacks, and options that it determines itself."""
    access = job.access
    for bucket in (*job.buckets, job.dest.bucket):
        if access_point(bucket):
            raise UsageError(f"--sandbox has no access points: name a bucket, not {bucket}")
    contradictions = {
        "--endpoint-url": access.endpoint_url is not None,
        "--profile": access.profile is not None,
        "--no-sign-request": not access.sign,
        "--addressing virtual": access.addressing == "virtual",
        "--secure": combined.secure is True,
    }
    for flag, given in contradictions.items():
        if given:
            raise UsageError(f"--sandbox and {flag} contradict each other; drop one")


# Journal and log


def _output(output: Output, combined: CombinedOptions) -> Output:
    journal, log_file = output.journal, output.log_file
    named = ((journal, "--journal"), (log_file, "--log-file"), (output.report, "--report"))
    for path, flag in (*named, (output.metrics, "--metrics")):
        check_no_stream(path, flag, "it is written to a file")
    if journal and log_file and os.path.realpath(journal) == os.path.realpath(log_file):
        raise UsageError("--journal and --log-file are the same file; name another for one")
    return replace(output, verbosity=combined.verbose - combined.quiet)
