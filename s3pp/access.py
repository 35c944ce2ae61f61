"""How a store is reached: endpoint, account, connection, and how long to try; and who else may."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from s3pp.limits import DEFAULT_MAX_THROTTLED, MAX_ATTEMPTS
from s3pp.option import FILE, TIME, Value, choice, option, up_to


class Keys(NamedTuple):
    """One set of credentials; never printed, never logged."""

    access_key: str
    secret_key: str
    token: str | None = None

    def __repr__(self) -> str:
        return "Keys(…)"


class Grant(NamedTuple):
    """A permission for an account or a group."""

    permission: str  # of ``limits.PERMISSIONS``
    grantee: str  # an e-mail address, the URI of a group, or the canonical ID of an account

    @property
    def by_email(self) -> bool:
        """Whether the grantee is an e-mail address."""
        return "@" in self.grantee and "://" not in self.grantee


@dataclass(frozen=True)
class Access:
    """How to reach the store."""

    endpoint_url: str | None = option(
        None,
        "--endpoint-url",
        Value("URL", "endpoint"),
        help="endpoint of a store other than AWS: http[s]://HOST[:PORT][/PATH]",
    )
    region: str | None = option(
        None, "--region", Value("NAME", "token"), help="the bucket's region"
    )
    profile: str | None = option(
        None, "--profile", Value("NAME", "visible"), help="a profile of the AWS configuration"
    )
    # Used in place of those of the environment, the profile and the files. No option: the arguments
    # of a command are visible to every user of the machine.
    credentials: Keys | None = None
    sign: bool = option(
        True,
        "--no-sign-request",
        sets=False,
        help="send requests unsigned, without credentials (public buckets)",
    )
    request_payer: bool = option(
        False, "--request-payer", help="accept the costs of a requester-pays bucket"
    )
    addressing: str | None = option(
        None,
        "--addressing",
        choice("STYLE", "auto", "path", "virtual"),
        help="bucket name in URLs: auto, path, virtual (default: the profile's setting, or auto)",
    )
    ca_bundle: str | None = option(
        None, "--ca-bundle", FILE, help="PEM file of certificates to trust"
    )
    verify_ssl: bool = option(
        True, "--no-verify-ssl", sets=False, help="do not verify certificates"
    )
    secure: bool = True  # scheme where the endpoint URL does not name one
    # The endpoint and the region of the profile go before those of the environment.
    own_settings: bool = False
    max_attempts: int = option(
        8, "--max-attempts", up_to(MAX_ATTEMPTS), help="attempts per request (default: {default})"
    )
    max_throttled: float = option(  # seconds in which nothing succeeds
        DEFAULT_MAX_THROTTLED,
        "--max-throttled",
        TIME,
        help="end the run when the store throttles everything for this long (default: {default:g})",
    )
    connect_timeout: float = option(  # seconds
        10.0,
        "--connect-timeout",
        TIME,
        help="time to connect: seconds, or 90s, 5m (default: {default:g})",
    )
    read_timeout: float = option(  # seconds
        60.0,
        "--read-timeout",
        TIME,
        help="end an attempt after this long without data (default: {default:g})",
    )
    request_timeout: float | None = option(  # seconds
        None,
        "--request-timeout",
        TIME,
        help="end an attempt after this long, whatever it transfers (default: no limit)",
    )
