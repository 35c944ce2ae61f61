"""The credentials: where they come from, and until when they are valid; never what they are."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from types import MappingProxyType

from s3pp.access import Keys
from s3pp.diagnosis.findings import Finding, ok, warning
from s3pp.s3.key_source import ENVIRONMENT, FILES, GIVEN, NONE, KeySource, shown_key_id

SOON = 900.0  # seconds: credentials that end sooner are hardly of use
_WORDS: Mapping[str, str] = MappingProxyType(
    {
        ENVIRONMENT: "the environment (AWS_ACCESS_KEY_ID)",
        FILES: "the files of the AWS configuration",
        GIVEN: "the caller",
        "assume-role": "a role that is assumed",
        "assume-role-with-web-identity": "a role that is assumed with a web identity",
        "config-file": "the AWS configuration file",
        "container-role": "the service of the container (ECS, EKS)",
        "custom-process": "a credential_process",
        "iam-role": "the role of the instance (EC2)",
        "shared-credentials-file": "the AWS credentials file",
        "sso": "single sign-on (aws sso login)",
    }
)


def check_account(source: KeySource, keys: Keys | None) -> Iterator[Finding]:
    """Findings about ``keys``, which come from ``source``; None: requests are not signed."""
    if keys is None or source.method == NONE:
        yield ok("source", "none: requests are not signed (--no-sign-request)")
        return
    where = _WORDS.get(source.method, source.method)
    profile = f", profile {source.profile!r}" if source.profile else ""
    kind = "with a session token" if keys.token else "without a session token"
    yield ok("source", f"{where}{profile}")
    yield ok("key id", f"{shown_key_id(keys)}, {kind}")
    yield check_expiry(source, temporary=bool(keys.token), now=time.time())


def check_expiry(source: KeySource, *, temporary: bool, now: float) -> Finding:
    """Until when the credentials are valid, at ``now`` (seconds since the epoch)."""
    if source.expires is None:
        if temporary:
            return ok("expiry", "not known: temporary, as they have a session token")
        return ok("expiry", "none")
    left = source.expires - now
    found = f"in {_length(left)}; s3pp renews them"
    if left > SOON:
        return ok("expiry", found)
    return warning("expiry", found, "see that their source gives new ones")


def _length(seconds: float) -> str:
    minutes = max(0, int(seconds // 60))
    return f"{minutes // 60} h {minutes % 60} min" if minutes >= 60 else f"{minutes} min"
