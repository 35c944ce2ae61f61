"""The credentials of one side of a transfer: given, or found and refreshed by botocore.

Keys are validated before use. A value that is not allowed in a header would otherwise be shown in
the error of whatever rejects it: libcurl, botocore, or a server.
"""

from __future__ import annotations

import errno
import json
import os
import re
import shlex
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

import botocore.session
from botocore import exceptions as boto_errors

from s3pp.access import Access, Keys
from s3pp.errors import FatalError, S3ppError, UsageError, start_failure
from s3pp.s3.key_source import KeySource, loaded_source
from s3pp.s3.plain_session import Options, check_files, forget_empty, unfit_parts

MOST_SAID = 200  # characters of a program's or a service's output that go into a message
_PROCESS = "custom-process"  # botocore's name for credential_process
_UNREACHABLE = (boto_errors.ConnectionError, boto_errors.HTTPClientError)
# How botocore's messages begin for a program that printed JSON, but no credentials.
_NO_KEYS = ("Unsupported version ", "Missing required key ")
_KEY = re.compile(r"(?=[A-Za-z+/=_-]*[0-9])[A-Za-z0-9+=_-][A-Za-z0-9+/=_-]{15,}")
# A name of a profile that is no key: of the usual characters, and of words that are not as long as
# the keys of AWS, or have no digits. It may end in an account's number, as those of SSO do.
_PROFILE_NAME = re.compile(
    r"(?!.*[A-Z0-9]{16})(?!.*(?<![A-Za-z0-9])(?=[A-Za-z]*[0-9])[A-Za-z0-9]{16})[\w.@ -]{1,64}"
)
_LEAST_HIDDEN = 4  # characters: shorter arguments are options or everyday words
_UNSHOWN = "set it again (it is not shown here)"


class _Spellings(NamedTuple):
    """The names of one part of the credentials, by where it comes from."""

    variable: str
    setting: str  # in a profile
    answer: str  # of a credential_process


_NAMES = {
    "access_key": _Spellings("AWS_ACCESS_KEY_ID", "aws_access_key_id", "AccessKeyId"),
    "secret_key": _Spellings("AWS_SECRET_ACCESS_KEY", "aws_secret_access_key", "SecretAccessKey"),
    "token": _Spellings("AWS_SESSION_TOKEN", "aws_session_token", "SessionToken"),
}


def shown_profile(name: str) -> str:
    """Return the name of a profile in quotes, but not one that may be a key."""
    return repr(name) if _PROFILE_NAME.fullmatch(name) else "that is named (it may be a key)"


class Identity:
    """The credentials that a job gives or, if it gives none, those of its profile."""

    def __init__(self, access: Access, options: Options) -> None:
        """Load credentials; for unsigned requests, only the profile's settings.

        Raises ``UsageError`` where there are no credentials, and the errors of ``keys``.
        """
        self.profile, self.sign = access.profile, access.sign
        self._given = access.credentials if access.sign else None
        self._options = options
        forget_empty(os.environ)
        check_files(os.environ)
        self.core: Any = None  # botocore's session: the settings of the profile, and clients
        self._credentials: Any = None
        self._sign_in()

    def keys(self) -> Keys | None:
        """The keys to use now, None for anonymous access; refreshes those about to expire.

        Raises ``UsageError`` for keys that cannot be used, or whose source is broken, and
        ``FatalError`` where they could not be fetched.
        """
        if (found := self._given or self._fetch()) is None:
            return None
        keys = Keys(*map(_strip, found))
        for part, unfit in unfit_parts(keys):
            name, advice = self._name(part), self._advice()
            raise UsageError(f"{name} {unfit.value}: {advice}")
        return keys

    def _fetch(self) -> Keys | None:
        if self._credentials is None:
            return None
        with self._explain_errors():
            return Keys._make(self._credentials.get_frozen_credentials()[:3])

    def renew(self) -> Keys | None:
        """Load credentials again after the store said they expired; None if nothing changed."""
        before = self.keys()
        self._sign_in()
        after = self.keys()
        return None if after == before else after

    def key_source(self, access: Access) -> KeySource:
        """Where the credentials come from."""
        return loaded_source(access, self._credentials, self.profile or self.core.profile)

    def own_settings(self, environ: Mapping[str, str]) -> Mapping[str, str]:
        """The profile's own endpoint and region, even if ``environ`` sets others."""
        profile, services = self.core.get_scoped_config(), self.core.full_config.get("services", {})
        ignored = environ.get("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS")
        return own_settings(
            profile,
            services.get(profile.get("services"), {}),
            ignored=ignored or str(profile.get("ignore_configured_endpoint_urls", "")),
        )

    def _sign_in(self) -> None:
        with self._explain_errors():
            self.core = botocore.session.Session(profile=self.profile)
            searched = self.sign and self._given is None
            self._credentials = self.core.get_credentials() if searched else None
        if self._credentials is None and searched:
            raise UsageError(self._absence())

    def _absence(self) -> str:
        """The message where there are no credentials."""
        option, other = self._options.another_profile, "or use --no-sign-request"
        if profile := self.profile or self.core.profile:
            return (
                f"no credentials found in profile {profile!r}: set aws_access_key_id and "
                f"aws_secret_access_key in it, name another {option}, {other}"
            )
        return (
            "no credentials found: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, "
            f"name a {option}, {other}"
        )

    @contextmanager
    def _explain_errors(self) -> Iterator[None]:
        """Turn any exception from botocore into a one-line error that contains no secret."""
        try:
            yield
        except S3ppError:
            raise
        except boto_errors.ProfileNotFound as error:
            given = "AWS_PROFILE" if self.profile is None else self._options.profile
            name = shown_profile(error.kwargs["profile"])
            names = "'aws configure list-profiles' names those that do"
            raise UsageError(f"{given}: the profile {name} does not exist; {names}") from None
        except (boto_errors.ClientError, *_UNREACHABLE, RuntimeError) as error:
            # A credentials service refused, did not answer, or returned expired ones.
            if isinstance(error, RuntimeError) and self._process is not None:
                raise UsageError(f"{self._program} printed credentials that have expired") from None
            raise FatalError(f"no credentials for {self._who}: {shorten(error)}") from None
        except Exception as error:  # botocore lets all kinds of exceptions through
            raise UsageError(self._fault(error)) from None

    def _fault(self, error: Exception) -> str:
        if isinstance(error, boto_errors.PartialCredentialsError):
            return self._half(error.kwargs["provider"], error.kwargs["cred_var"])
        process = self._process
        known = isinstance(error, boto_errors.BotoCoreError)
        told = error.kwargs if isinstance(error, boto_errors.CredentialRetrievalError) else {}
        if process is not None and (not known or told.get("provider") == _PROCESS):
            said = str(told.get("error_msg", ""))
            return (
                f"{self._program} {command_fault(process) or process_fault(error, said, process)}"
            )
        # Only botocore's own errors are sure to show no values.
        cause = shorten(error) if known else type(error).__name__
        return f"{self._who}: {cause}"

    def _half(self, provider: str, missing: str) -> str:
        """The message for a pair of keys of which one half is missing."""
        if provider == "env":
            return f"{missing} is not set, and AWS_ACCESS_KEY_ID is: set both, or neither"
        return f"{self._who} has no {missing}: set both, or neither"

    @property
    def _process(self) -> str | None:
        return process_of(_profiles(self.core), self._name_of_profile)

    @property
    def _program(self) -> str:
        return f"credential_process {program(self._process or '')} of {self._who}"

    @property
    def _name_of_profile(self) -> str:
        return self.profile or (self.core and self.core.profile) or "default"

    @property
    def _who(self) -> str:
        return f"profile {self._name_of_profile!r}"

    def _name(self, part: str) -> str:
        """The name under which the user set a part of the credentials."""
        names = _NAMES[part]
        if self._given is not None:
            return f"the {names.answer} given"
        method = self._credentials.method
        if method == "env":
            return _variable(names.variable)
        if method == _PROCESS:
            return f"the {names.answer} that {self._program} printed"
        if method in ("shared-credentials-file", "config-file"):
            return f"{names.setting} of {self._who}"
        return f"the {names.answer} for {self._who} ({method})"

    def _advice(self) -> str:
        printed = self._given is None and self._credentials.method == _PROCESS
        return "its value is not shown here" if printed else _UNSHOWN


def own_settings(
    profile: Mapping[str, Any], services: Mapping[str, Any], *, ignored: str
) -> dict[str, str]:
    """The ``endpoint_url`` and ``region`` set in a profile and its section of services.

    ``ignored``: the configuration's value for whether endpoints are ignored (``"true"``).
    """
    endpoint = services.get("s3", {}).get("endpoint_url") or profile.get("endpoint_url")
    found = {"region": profile.get("region")}
    if ignored.strip().lower() != "true":
        found["endpoint_url"] = endpoint
    return {name: str(value) for name, value in found.items() if value}


def process_of(profiles: Mapping[str, Mapping[str, Any]], name: str) -> str | None:
    """The ``credential_process`` that supplies a profile's keys, following source profiles."""
    seen: set[str] = set()
    while name in profiles and name not in seen:
        seen.add(name)
        profile = profiles[name]
        if "credential_process" in profile:
            return str(profile["credential_process"])
        name = str(profile.get("source_profile", ""))
    return None


def program(command: str) -> str:
    """The program of a command line; its arguments, which may be secrets, are left out."""
    try:
        first, *rest = shlex.split(command) or [""]
    except ValueError:  # a quote that is not closed
        first, *rest = command.split() or [""]
    return f"{shorten(first)!r}{' …' if rest else ''}"


def command_fault(command: str) -> str | None:
    """Why a command line cannot be run at all, as the end of a sentence; None if it can."""
    try:
        return None if shlex.split(command) else "is empty: name a program"
    except ValueError:
        return "has a quote that is not closed"


def process_fault(error: Exception, said: str, command: str = "") -> str:
    """What went wrong with a ``credential_process``, as the end of a sentence.

    ``said``: its standard error, or botocore's message about its output. Its standard output,
    which holds secrets, is not shown; of its standard error, only the last line is.
    """
    if isinstance(error, boto_errors.CredentialRetrievalError) and not said.startswith(_NO_KEYS):
        last = last_words(said, command)
        return f"failed: {last}" if last else "failed without a message"
    if isinstance(error, OverflowError | TypeError | ValueError) and not _is_decoding(error):
        return "printed an Expiration that is not a time with a zone, such as 2026-11-20T08:30:00Z"
    if isinstance(error, OSError):
        busy = error.errno == errno.EAGAIN
        return f"cannot be run: {start_failure(error) if busy else error.strerror}"
    return "did not print credentials as JSON (Version, AccessKeyId, SecretAccessKey)"


def _is_decoding(error: Exception) -> bool:
    return isinstance(error, json.JSONDecodeError | UnicodeError)


def last_words(said: str, command: str) -> str:
    """The last line of a program's output, with its arguments and possible keys removed."""
    line = (said.strip().splitlines() or [""])[-1]
    try:
        arguments = shlex.split(command)[1:]
    except ValueError:
        arguments = []
    for argument in sorted(arguments, key=len, reverse=True):
        line = line.replace(argument, "…") if len(argument) >= _LEAST_HIDDEN else line
    return shorten(_KEY.sub("…", line))


def shorten(what: object) -> str:
    """Format ``what`` on one line, truncated to ``MOST_SAID`` characters."""
    text = " ".join(str(what).split())
    return text if len(text) <= MOST_SAID else f"{text[:MOST_SAID]}…"


def _strip(value: Any) -> Any:
    return value.strip() if isinstance(value, str) else value


def _variable(name: str) -> str:
    # botocore prefers the token's older name.
    older = "AWS_SECURITY_TOKEN"
    return older if name == _NAMES["token"].variable and older in os.environ else name


def _profiles(core: Any) -> Mapping[str, Mapping[str, Any]]:
    try:
        return dict(core.full_config.get("profiles", {}))
    except boto_errors.BotoCoreError:  # an unparsable file, already the error reported
        return {}
