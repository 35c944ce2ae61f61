"""Where the credentials of a session come from, for users; never what they are."""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple

from s3pp.access import Access, Keys

GIVEN, NONE = "given", "none"
ENVIRONMENT, FILES = "env", "files"


class KeySource(NamedTuple):
    """The source of credentials."""

    method: str  # one of those above, or botocore's name: "iam-role"
    profile: str = ""  # that is in force; empty: none is named
    expires: float | None = None  # seconds since the epoch; None: never, or not known


def plain_source(access: Access, environ: Mapping[str, str]) -> KeySource:
    """The source for a plain configuration, see ``plain_session``."""
    profile = access.profile or environ.get("AWS_PROFILE") or environ.get("AWS_DEFAULT_PROFILE")
    if access.credentials is not None:
        return KeySource(GIVEN)
    if not access.sign:
        return KeySource(NONE)
    in_environment = access.profile is None and "AWS_ACCESS_KEY_ID" in environ
    return KeySource(ENVIRONMENT if in_environment else FILES, profile or "")


def loaded_source(access: Access, credentials: Any, profile: str | None) -> KeySource:
    """The source of ``credentials``, which botocore has loaded."""
    if credentials is None:
        return plain_source(access, os.environ)._replace(profile=profile or "")
    # No public attribute has it, and one that is missing is no fault.
    expiry = getattr(credentials, "_expiry_time", None)
    expires = expiry.timestamp() if isinstance(expiry, datetime) else None
    return KeySource(str(credentials.method), profile or "", expires)


def shown_key_id(keys: Keys) -> str:
    """The ends of a key's id, by which its owner knows it; none of a short one."""
    key_id = keys.access_key
    return f"{key_id[:4]}…{key_id[-4:]}" if len(key_id) >= 16 else f"{len(key_id)} characters"
