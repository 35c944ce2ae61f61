"""Choice of the proxy for a store, from the usual environment variables.

botocore and libcurl interpret them differently: botocore supports neither ``ALL_PROXY`` nor
networks in ``NO_PROXY``, libcurl neither ``HTTP_PROXY`` in capitals nor ports. So the proxy is
chosen once, here, and passed to both::

    http_proxy, https_proxy   by the scheme of the store's URL
    all_proxy                 where that is not set
    no_proxy                  stores that are reached without: names with all below them, addresses,
                              networks (10.0.0.0/8), each with or without a port, or * for all

Names may be in lower case or in capitals; lower case takes precedence. An empty variable counts as
unset.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import NamedTuple
from urllib.parse import urlsplit

from s3pp.errors import UsageError

_PORTS = {"http": 80, "https": 443}
_SCHEMES = ("http", "https")
_PORT = re.compile(r"(?P<host>\[.*\]|[^:]*)(?::(?P<port>\d{1,5}))?\Z")

# What urllib3 and libcurl both accept: their errors would show the rest, including the password.
_HOST = r"(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])"
_USABLE = re.compile(rf"[A-Za-z]+://(?:[!-?A-~]*@)?{_HOST}(?::[0-9]+)?(?:[/?#][!-~]*)?\Z")


class Proxy(NamedTuple):
    """A proxy. ``url`` may contain a password: show ``str()`` of the proxy instead."""

    variable: str  # the environment variable that named it
    url: str

    def __str__(self) -> str:
        parts = urlsplit(self.url)
        return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"

    def __repr__(self) -> str:
        return f"Proxy({str(self)!r})"


def proxy_for(scheme: str, host: str, environ: Mapping[str, str]) -> Proxy | None:
    """The proxy for the store at ``host``, which may include a port; None: no proxy.

    Raises ``UsageError`` for a variable that does not name a usable proxy.
    """
    variable = _set(environ, f"{scheme}_proxy") or _set(environ, "all_proxy")
    if variable is None:
        return None
    rules = _set(environ, "no_proxy")
    if rules is not None and exempt(scheme, host, environ[rules]):
        return None
    return Proxy(variable, _checked(variable, environ[variable]))


def exempt(scheme: str, host: str, rules: str) -> bool:
    """Whether ``rules``, a value of ``no_proxy``, match the store at ``host``."""
    name, port = _split(host)
    for rule in re.split(r"[,\s]+", rules.strip()):
        theirs, their_port = _split(rule)
        same_port = their_port is None or their_port == (port or _PORTS[scheme])
        if theirs and same_port and _matches(name, theirs):
            return True
    return False


def _matches(name: str, rule: str) -> bool:
    if rule == "*":
        return True
    if (address := _address(name)) is not None:
        try:
            return address in ip_network(rule, strict=False)
        except ValueError:
            return False
    above = rule.removeprefix("*").removeprefix(".")
    return name == above or name.endswith(f".{above}")


def _address(name: str) -> IPv4Address | IPv6Address | None:
    try:
        return ip_address(name)
    except ValueError:
        return None


def _split(host: str) -> tuple[str, int | None]:
    """Split into the host, in lower case without brackets and trailing dot, and the port."""
    found = _PORT.match(host)
    if found is None:  # an IPv6 address without brackets, as in no_proxy
        return host.lower(), None
    name = found["host"].lower().strip("[]").removesuffix(".")
    return name, int(found["port"]) if found["port"] else None


def _set(environ: Mapping[str, str], name: str) -> str | None:
    """The name of the variable that is set, in lower case or in capitals; None: neither."""
    upper = name.upper()
    # In a CGI program, HTTP_PROXY is the request header "Proxy", which any client can send.
    names = (name,) if upper == "HTTP_PROXY" and "REQUEST_METHOD" in environ else (name, upper)
    return next((each for each in names if environ.get(each, "").strip()), None)


def _checked(variable: str, value: str) -> str:
    url = value.strip() if "://" in value else f"http://{value.strip()}"
    scheme = url.partition("://")[0].lower()
    if scheme not in _SCHEMES:
        raise UsageError(f"{variable} names a proxy of the kind {scheme!r}: only http and https do")
    try:
        parts = urlsplit(url)
        there = bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        there = False
    if not there or _USABLE.match(url) is None:  # not shown: it may hold a password
        raise UsageError(
            f"{variable} is not of the form http://[USER:PASSWORD@]HOST[:PORT]"
            " (in USER and PASSWORD, write @ as %40, and likewise what else is special)"
        )
    return url
