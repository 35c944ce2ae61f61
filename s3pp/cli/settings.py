"""The Namespace of a verb's shared options becomes the parts of a ``Job``.

What argparse cannot see is checked here: options that contradict or need each other. Every
``UsageError`` names the options and the mend.
"""

from __future__ import annotations

import importlib.util
import os
from argparse import Namespace
from dataclasses import replace

from s3pp.cli.headers import METADATA, Pairs, check_headers, check_metadata, check_tags
from s3pp.cli.places import check_no_stream
from s3pp.errors import UsageError
from s3pp.job import (
    DEFAULT_GZIP_TYPES,
    DEFAULT_LISTERS,
    Access,
    Choosing,
    Objects,
    Output,
    Parts,
    Speed,
)

CRT_CHECKSUMS = ("crc32c", "crc64nvme")  # Python's standard library has neither


def choosing(options: Namespace) -> Choosing:
    """Which entries belong to the job."""
    if options.null and options.files_from is None:
        raise UsageError("--null needs --files-from: it says how the names in that file end")
    if options.walk == "tar" and options.follow_symlinks is not None:
        raise UsageError("--walk tar does not follow links; drop --[no-]follow-symlinks")
    _check_order("--min-size", options.min_size, "--max-size", options.max_size)
    _check_order("--newer-than", options.newer_than, "--older-than", options.older_than)
    return Choosing(
        rules=tuple(options.rules),
        newer_than=options.newer_than,
        older_than=options.older_than,
        min_size=options.min_size,
        max_size=options.max_size,
        limit=options.limit,
        files_from=options.files_from,
        null=options.null,
        follow_symlinks=options.follow_symlinks is not False,
        order=options.order,
    )


def objects(options: Namespace) -> Objects:
    """What every object sent is given."""
    check_headers(tuple(options.header), gzip=options.gzip)
    headers, metadata = _metadata(options)
    check_metadata(metadata)
    check_tags(tuple(options.tag))
    _check_encryption(options)
    _check_checksum(options.checksum)
    content_type, headers = _content_type(options.content_type, headers)
    return Objects(
        content_type=content_type,
        gzip_types=_gzip_types(options),
        headers=headers,
        metadata=metadata,
        tags=tuple(options.tag),
        acl=options.acl,
        storage_class=options.storage_class,
        sse=options.sse,
        sse_kms_key_id=options.sse_kms_key_id,
        checksum=options.checksum,
    )


def copied(options: Namespace) -> Objects:
    """What every copy is given; as long as the source's own is kept, nothing can be added to it."""
    if options.directive == "copy":
        given = {
            "--content-type": options.content_type is not None,
            "--header": bool(options.header),
            "--metadata": bool(options.metadata),
        }
        for option, there in given.items():
            if there:
                raise UsageError(f"{option} needs --metadata-directive replace: copy keeps all")
    if options.content_type == "magic":
        raise UsageError("--content-type magic looks into files; a copy can take a type, or guess")
    return replace(objects(options), directive=options.directive)


def source_access(options: Namespace) -> Access | None:
    """How to reach the source of a copy; None: as the destination."""
    option = "--source-endpoint-url"
    endpoint = _endpoint_url(options.source_endpoint_url, options.secure, option)
    given = {
        "endpoint_url": endpoint,
        "region": options.source_region,
        "profile": options.source_profile,
    }
    if not any(given.values()):
        return None
    if options.sandbox:
        raise UsageError("--sandbox is source and destination; drop the --source- options")
    own = {name: value for name, value in given.items() if value is not None}
    if endpoint is not None and options.source_region is None:
        own["region"] = None  # the other store's region says nothing about this one
    named = options.source_profile is not None
    return replace(access(options), own_settings=named or _two_profiles(options), **own)


def dest_access(options: Namespace) -> Access:
    """How to reach the destination of a copy."""
    return replace(access(options), own_settings=_two_profiles(options))


def _two_profiles(options: Namespace) -> bool:
    """Whether each side has a profile of its own, which then says more than a variable for both."""
    return options.profile is not None and options.source_profile is not None


def access(options: Namespace) -> Access:
    """How to reach the store."""
    if options.sandbox:
        _check_sandbox(options)
    if options.ca_bundle is not None and not options.verify_ssl:
        raise UsageError("--ca-bundle and --no-verify-ssl contradict each other; drop one")
    return Access(
        endpoint_url=_endpoint_url(options.endpoint_url, options.secure),
        region=options.region,
        profile=options.profile,
        sign=options.sign,
        request_payer=options.request_payer,
        addressing=options.addressing,
        ca_bundle=options.ca_bundle,
        verify_ssl=options.verify_ssl,
        secure=options.secure is not False,
        max_attempts=options.max_attempts,
        max_throttled=options.max_throttled,
        connect_timeout=options.connect_timeout,
        read_timeout=options.read_timeout,
    )


def parts(options: Namespace) -> Parts:
    """How large objects are moved."""
    return Parts(options.part_size, options.multipart_threshold, options.resume)


def speed(options: Namespace) -> Speed:
    """How many at a time; never more processes than requests, for they would have none."""
    wanted = options.processes or Speed().processes
    return Speed(
        processes=min(wanted, options.concurrency),
        concurrency=options.concurrency,
        listers=getattr(options, "listers", DEFAULT_LISTERS),
        start_method=options.start_method,
        worker_timeout=options.worker_timeout,
    )


def listing_speed(options: Namespace) -> Speed:
    """How many requests list at a time."""
    return Speed(listers=options.listers)


def listing_output(options: Namespace) -> Output:
    """What is told of a listing."""
    return Output(verbosity=-options.quiet, json=options.json)


def output(options: Namespace) -> Output:
    """What is told, and where."""
    journal, log_file = options.journal, options.log_file
    for path, option in ((journal, "--journal"), (log_file, "--log-file")):
        check_no_stream(path, option, "it is written to a file")
    if journal and log_file and os.path.realpath(journal) == os.path.realpath(log_file):
        raise UsageError("--journal and --log-file are the same file; name another for one")
    return Output(
        verbosity=options.verbose - options.quiet,
        json=options.json,
        progress=options.progress,
        journal=journal,
        log_file=log_file,
    )


def _check_order(low: str, least: float | None, high: str, most: float | None) -> None:
    if least is not None and most is not None and least > most:
        raise UsageError(f"{low} is beyond {high}: nothing can match both; swap or drop one")


def _check_encryption(options: Namespace) -> None:
    if options.sse_kms_key_id is not None and options.sse != "aws:kms":
        raise UsageError("--sse-kms-key-id needs --sse aws:kms")


def _check_checksum(kind: str) -> None:
    if kind in CRT_CHECKSUMS and importlib.util.find_spec("awscrt") is None:
        raise UsageError(f"--checksum {kind} needs the package awscrt: pip install 's3pp[crt]'")


def _metadata(options: Namespace) -> tuple[Pairs, Pairs]:
    """The headers that are no metadata, and all metadata: one setting, two spellings."""
    ours = [pair for pair in options.header if pair[0].lower().startswith(METADATA)]
    spelt = [(name[len(METADATA) :], value) for name, value in ours]
    rest = tuple(pair for pair in options.header if pair not in ours)
    return rest, (*spelt, *options.metadata)


def _content_type(option: str | None, headers: Pairs) -> tuple[str, Pairs]:
    """The content type, and the headers without it: likewise."""
    given = [value for name, value in headers if name.lower() == "content-type"]
    if given and option is not None:
        raise UsageError("--header Content-Type contradicts --content-type; drop one")
    rest = tuple(pair for pair in headers if pair[0].lower() != "content-type")
    return given[0] if given else option or "guess", rest


def _gzip_types(options: Namespace) -> frozenset[str]:
    if options.gzip_type and not options.gzip:
        raise UsageError("--gzip-type needs --gzip: it says which types that compresses")
    if not options.gzip:
        return frozenset()
    named = set(options.gzip_type or ["guess"])
    if "all" in named:
        return frozenset({"all"})
    return frozenset(named - {"guess"}) | (DEFAULT_GZIP_TYPES if "guess" in named else frozenset())


def _endpoint_url(
    endpoint: str | None, secure: bool | None, option: str = "--endpoint-url"
) -> str | None:
    if endpoint is None:
        return None
    scheme = "http" if secure is False else "https"
    if "://" not in endpoint:
        return f"{scheme}://{endpoint}"
    if secure is not None and not endpoint.startswith(f"{scheme}://"):
        other = "--secure" if secure else "--insecure"
        raise UsageError(f"{other} contradicts {option} {endpoint}; drop one")
    return endpoint


def _check_sandbox(options: Namespace) -> None:
    """The sandbox is an endpoint, an account and a scheme of its own."""
    contradictions = {
        "--endpoint-url": options.endpoint_url is not None,
        "--profile": options.profile is not None,
        "--no-sign-request": not options.sign,
        "--addressing virtual": options.addressing == "virtual",
        "--secure": options.secure is True,
    }
    for option, given in contradictions.items():
        if given:
            raise UsageError(f"--sandbox and {option} contradict each other; drop one")
