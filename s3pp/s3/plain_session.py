"""What a session needs where the configuration is plain: found without botocore.

Plain means: keys from the environment or written in a profile, a region and an endpoint that are
named, a bucket's usual name, no proxy. Importing botocore, and creating its client, costs more than
all else that a run of a few objects does. Whatever is not known here to be plain is left to it: a
profile with a role, SSO or a program, a variable that is not listed here, ARNs, unusual endpoints,
and every bucket that answers its first request with anything but a listing. So botocore has the
last word on all that is unusual or wrong, and its errors are what users see.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator, Mapping, MutableMapping
from enum import Enum
from importlib.util import find_spec
from math import inf
from typing import NamedTuple, TypeVar
from urllib.parse import urlsplit

from s3pp.access import Access, Keys
from s3pp.errors import FatalError, ObjectError, UsageError
from s3pp.s3 import blocking
from s3pp.s3.endpoint import Endpoint, Opened, proxy_for, query_string
from s3pp.s3.exchange import Fault, Request, Response, WireError, WireSettings
from s3pp.s3.listing import AGAIN, Page, parse_page
from s3pp.s3.sigv4 import EMPTY_SHA256, Signer

T = TypeVar("T")

# What botocore would wait for, again and again: an answer without an end, or without a beginning.
_ENDLESS = frozenset({Fault.OVERSIZED, Fault.SILENT, Fault.SLOW, Fault.UNREADABLE})

# Variables whose effect is known here, or is none; any other AWS_ variable is left to botocore.
_VARIABLES = frozenset(
    {
        "AWS_ACCESS_KEY_ID",
        "AWS_CA_BUNDLE",
        "AWS_CONFIG_FILE",
        "AWS_DEFAULT_OUTPUT",
        "AWS_DEFAULT_PROFILE",
        "AWS_DEFAULT_REGION",
        "AWS_EC2_METADATA_DISABLED",
        "AWS_EXECUTION_ENV",
        "AWS_ENDPOINT_URL",
        "AWS_ENDPOINT_URL_S3",
        "AWS_MAX_ATTEMPTS",
        "AWS_PAGER",
        "AWS_PROFILE",
        "AWS_REGION",
        "AWS_REQUEST_CHECKSUM_CALCULATION",
        "AWS_RESPONSE_CHECKSUM_VALIDATION",
        "AWS_RETRY_MODE",
        "AWS_SDK_LOAD_CONFIG",
        "AWS_SECRET_ACCESS_KEY",
        "AWS_SESSION_TOKEN",
        "AWS_SHARED_CREDENTIALS_FILE",
    }
)
# The same for the settings of a profile.
_SETTINGS = frozenset(
    {
        "aws_access_key_id",
        "aws_secret_access_key",
        "aws_session_token",
        "cli_pager",
        "endpoint_url",
        "max_attempts",
        "output",
        "region",
        "request_checksum_calculation",
        "response_checksum_validation",
        "retry_mode",
    }
)
_SECTION = re.compile(r"profile ([A-Za-z0-9_.@-]+)")  # of a configuration file
_BUCKET = re.compile(r"(?!.*--)(?!xn-|sthree-|arn)[a-z0-9][a-z0-9-]{1,61}[a-z0-9](?<!-s3alias)")
_REGION = re.compile(r"[a-z0-9-]{2,30}")
_URL = re.compile(r"(https?)://([a-z0-9.-]+(?::[1-9][0-9]{0,4})?)/?")
_ADDRESS = re.compile(r"[0-9.]+(?::[0-9]+)?")  # names of no bucket go before it
_AWS_HOST = re.compile(r"amazonaws|\.aws(?:\.|:|\Z)|:(?:80|443)\Z")
_AWS_REGION = re.compile(r"(?:af|ap|ca|eu|il|me|mx|sa|us)-(?:north|south|east|west|central)+-[1-9]")


LIST_PROFILE = "--list-profile"


class Options(NamedTuple):
    """The names of the options that configure one side, for messages."""

    profile: str = "--profile"  # the option that named the profile
    endpoint_url: str = "--endpoint-url"  # the option that named the endpoint
    prefix: str = "--"  # prefix of the options that can change the settings: or "--source-"

    @property
    def another_profile(self) -> str:
        """The option that can name another profile."""
        return self.profile if self.profile == LIST_PROFILE else f"{self.prefix}profile"


OPTIONS = Options()


class Unfit(str, Enum):
    """Why a part of the credentials cannot be used."""

    EMPTY = "is empty"
    ABSENT = "is missing"
    OTHER = "is not a string"
    HEADER = "has a line end, a control or a non-ASCII character, which no header can carry"
    TEXT = "has a line end, a control or a non-ASCII character, as no secret key has"


class PlainSettings(NamedTuple):
    """The settings of one side with a plain configuration."""

    keys: Keys | None  # None: anonymous
    endpoint: Endpoint
    ca_bundle: str

    @property
    def opened(self) -> Opened:
        """The address of a bucket that can be listed, or is presumed to be."""
        return Opened(self.endpoint, self.keys, self.ca_bundle, listable=True)


def discard(_: str) -> None:
    """Discard a notice."""


class _NotPlain(Exception):
    """The configuration needs botocore's knowledge."""


def plain_settings(
    access: Access, bucket: str, environ: MutableMapping[str, str]
) -> PlainSettings | None:
    """The settings of a plain configuration, as botocore would find them; None if it is not plain.

    Raises ``UsageError`` for a proxy that cannot be used, and for a named file that cannot be read.
    """
    forget_empty(environ)
    check_files(environ)
    if access.endpoint_url is None and not access.own_settings:
        check_endpoint(environ)
    try:
        return _settings(access, bucket, environ)
    except _NotPlain:
        return None


def probe(settings: PlainSettings, access: Access, prefix: str) -> Page | None:
    """List one key within ``prefix``, by one request; None unless the answer is a page.

    Raises ``FatalError`` for an answer that cannot be read, or has no end: botocore would wait.
    """
    region = settings.endpoint.region
    wire = WireSettings(
        connections=1,
        connect_timeout=access.connect_timeout,
        read_timeout=access.read_timeout,
        request_timeout=access.request_timeout or inf,
        ca_bundle=settings.ca_bundle,
        verify=access.verify_ssl,
    )
    try:
        answer = _exchange(_listing(settings, access, prefix), wire)
        named = answer.header(b"x-amz-bucket-region") or region
        return parse_page(answer.body) if answer.status == 200 and named == region else None
    except WireError as error:
        if error.fault not in _ENDLESS:
            return None
        where = settings.endpoint.origin
        raise FatalError(f"no S3 store answers at {where}: {error}: check --endpoint-url") from None
    except (OSError, OverflowError, ValueError, ObjectError):
        return None  # also for hosts and ports that cannot exist


def _exchange(request: Request, wire: WireSettings) -> Response:
    """Return the answer to ``request``; one that cannot be read is requested again, as a page is.

    Raises as ``blocking.exchange``.
    """
    for _ in range(AGAIN):
        try:
            return blocking.exchange(request, wire)
        except WireError as error:
            if error.fault is not Fault.UNREADABLE:
                raise
    return blocking.exchange(request, wire)


def _listing(settings: PlainSettings, access: Access, prefix: str) -> Request:
    endpoint = settings.endpoint
    path, query = endpoint.path(""), {"list-type": "2", "max-keys": "1", "prefix": prefix}
    url = (endpoint.host, path, query_string(query))
    headers = [("x-amz-request-payer", "requester")] if access.request_payer else []
    signer = Signer(settings.keys, endpoint.region, service=endpoint.signs_for)
    lines = signer.sign("GET", url, headers, EMPTY_SHA256)
    return Request("GET", f"{endpoint.scheme}://{endpoint.host}{path}?{url[2]}", lines)


def forget_empty(environ: MutableMapping[str, str]) -> None:
    """Remove empty AWS variables: an empty one counts as unset.

    An empty file name is kept: it means that there is no file.
    """
    for name, value in list(environ.items()):
        if name.startswith("AWS_") and not name.endswith("_FILE") and not value.strip():
            del environ[name]


def check_files(environ: Mapping[str, str]) -> None:
    """Raise ``UsageError`` for a named file that cannot be read, which botocore would ignore.

    A file that does not exist counts as empty.
    """
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        if path := _path(environ.get(name, "")):
            _check_file(name, path)


def _check_file(name: str, path: str) -> None:
    try:
        mode = os.stat(path).st_mode
        if stat.S_ISREG(mode):  # opening a pipe could wait for its writer
            open(path, "rb").close()
    except (FileNotFoundError, NotADirectoryError):
        return
    except OSError as error:
        raise UsageError(f"{name} {path!r} cannot be read: {error.strerror}") from None
    if stat.S_ISDIR(mode):
        raise UsageError(f"{name} {path!r} is a directory: name a file")


def _path(named: str) -> str:
    """The path that a variable names, as botocore reads it."""
    return os.path.expanduser(os.path.expandvars(named))


def check_endpoint(environ: Mapping[str, str]) -> None:
    """Raise ``UsageError`` for a variable in effect that names an endpoint, and is no URL."""
    if environ.get("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "").lower() == "true":
        return
    names = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL")
    name = next((name for name in names if environ.get(name)), None)
    if name is None:
        return
    if not _is_endpoint(environ[name]):
        shown = "" if "@" in environ[name] else f" {environ[name]!r}"  # it may hold a password
        raise UsageError(f"{name}{shown} is not of the form http[s]://HOST[:PORT][/PATH]")


def _is_endpoint(text: str) -> bool:
    try:
        url = urlsplit(text)
        return url.scheme in ("http", "https") and bool(url.netloc) and url.port != 0
    except ValueError:  # of an address in brackets, or of a port
        return False


def unfit_parts(keys: Keys) -> Iterator[tuple[str, Unfit]]:
    """Yield each part of ``keys`` that cannot be used, by field, and why."""
    for part, value in keys._asdict().items():
        if part == "token" and value in (None, ""):
            continue
        if value is None:
            yield part, Unfit.ABSENT
        elif not isinstance(value, str):  # a program may print any JSON
            yield part, Unfit.OTHER
        elif not value:
            yield part, Unfit.EMPTY
        elif not (value.isprintable() and value.isascii()):
            yield part, Unfit.TEXT if part == "secret_key" else Unfit.HEADER


def _settings(access: Access, bucket: str, environ: Mapping[str, str]) -> PlainSettings:
    odd = {name for name in environ if name.startswith("AWS_")} - _VARIABLES
    _require(not odd and _BUCKET.fullmatch(bucket))
    profile = _profile(access, environ)
    keys = _keys(access, profile, environ) if access.sign else None
    endpoint = _endpoint(access, bucket, profile, environ)
    _require(proxy_for(endpoint.scheme, endpoint.host, environ) is None)
    ca_bundle = access.ca_bundle or environ.get("AWS_CA_BUNDLE") or _authorities()
    return PlainSettings(keys, endpoint, ca_bundle)


def _require(found: T | None) -> T:
    """``found``, where it is true. Raises ``_NotPlain``."""
    if not found:
        raise _NotPlain
    return found


def _profile(access: Access, environ: Mapping[str, str]) -> Mapping[str, str]:
    """The settings of the profile in use; those of the credentials file go before the others."""
    by_environment = {environ.get("AWS_DEFAULT_PROFILE"), environ.get("AWS_PROFILE")} - {None}
    _require(len(by_environment) < 2)
    named = access.profile or next(iter(by_environment), None)
    config, credentials = _files(environ)
    name = named or "default"
    _require(not named or name in config or name in credentials)
    profile = {**config.get(name, {}), **credentials.get(name, {})}
    _require(profile.keys() <= _SETTINGS)
    _require(not any("\n" in value for value in profile.values()))
    return profile


def _files(environ: Mapping[str, str]) -> tuple[dict[str, dict[str, str]], ...]:
    config = _sections(environ.get("AWS_CONFIG_FILE", "~/.aws/config"))
    credentials = _sections(environ.get("AWS_SHARED_CREDENTIALS_FILE", "~/.aws/credentials"))
    _require("profile default" not in config)
    profiles = {section: values for section, values in config.items() if section == "default"}
    for section, values in config.items():
        if match := _SECTION.fullmatch(section):
            profiles[match[1]] = values
    return profiles, credentials


def _sections(path: str) -> dict[str, dict[str, str]]:
    """The sections of a file as botocore reads it; none where there is no such file."""
    path = _path(path)
    if not os.path.isfile(path):
        return {}
    import configparser

    parser = configparser.RawConfigParser()
    try:
        parser.read([path])
    except (configparser.Error, UnicodeDecodeError):
        raise _NotPlain from None
    return {section: dict(parser.items(section)) for section in parser.sections()}


def _keys(access: Access, profile: Mapping[str, str], environ: Mapping[str, str]) -> Keys:
    if access.credentials is not None:
        return _usable(access.credentials)
    names = ("aws_access_key_id", "aws_secret_access_key", "aws_session_token")
    in_environment = [environ.get(name.upper()) for name in names]
    from_profile = access.profile is not None or in_environment[0] is None
    found = [profile.get(name) for name in names] if from_profile else in_environment
    _require(found[0] and found[1])
    return _usable(Keys._make(found))


def _usable(keys: Keys) -> Keys:
    """``keys`` without white space around them. Raises ``_NotPlain`` for those that are unfit."""
    stripped = Keys._make(each.strip() if isinstance(each, str) else each for each in keys)
    _require(not [*unfit_parts(stripped)])
    return stripped


def _endpoint(
    access: Access, bucket: str, profile: Mapping[str, str], environ: Mapping[str, str]
) -> Endpoint:
    own = profile if access.own_settings else {}
    region = access.region or own.get("region") or environ.get("AWS_REGION")
    region = region or environ.get("AWS_DEFAULT_REGION") or profile.get("region") or "us-east-1"
    _require(_REGION.fullmatch(region))
    named = access.endpoint_url or own.get("endpoint_url")
    named = named or environ.get("AWS_ENDPOINT_URL_S3") or environ.get("AWS_ENDPOINT_URL")
    url = named or profile.get("endpoint_url")
    if url is None:
        _require(_AWS_REGION.fullmatch(region) and access.secure)
        host = "s3" if region == "us-east-1" else f"s3.{region}"  # there the global name is used
        scheme, host, in_path = "https", f"{host}.amazonaws.com", access.addressing == "path"
    else:
        match = _require(_URL.fullmatch(url))
        _require(not _AWS_HOST.search(match[2]))
        scheme, host, in_path = match[1], match[2], access.addressing != "virtual"
        _require(in_path or not _ADDRESS.fullmatch(host))
    if in_path:
        return Endpoint(scheme, host, f"/{bucket}", region, bucket)
    return Endpoint(scheme, f"{bucket}.{host}", "", region, bucket)


def _authorities() -> str:
    """The certificates that botocore trusts: certifi's, or its own."""
    spec = find_spec("certifi")
    if spec is not None:
        from certifi import where  # as light as it is

        return str(where())
    return os.path.join(os.path.dirname(str(_require(find_spec("botocore")).origin)), "cacert.pem")
