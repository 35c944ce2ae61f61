"""One-time setup of a run: credentials, region, endpoint, and a check that the bucket exists.

::

    configuration is plain ─yes─▶ a listing of one key, or two ─▶ a page ─▶ Opened
            │                                │
            └─no─────────────────────────────┴─ anything else ─▶ botocore ─▶ Opened, or why not
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from s3pp.access import Access, Keys
from s3pp.errors import UsageError
from s3pp.places import Origin
from s3pp.s3.endpoint import Opened, is_loopback
from s3pp.s3.key_source import KeySource, plain_source
from s3pp.s3.listing import Page
from s3pp.s3.plain_session import OPTIONS, Options, discard, plain_settings, probe

if TYPE_CHECKING:
    from s3pp.s3.boto_session import BotoSession


def _do_nothing() -> None:
    """Do nothing."""


class SessionHooks(NamedTuple):
    """What a session calls on its way."""

    notify: Callable[[str], None] = discard  # informs the user why finding the bucket takes long
    before_botocore: Callable[[], None] = _do_nothing  # it is about to be imported


NO_HOOKS = SessionHooks()


class Session:
    """One side's credentials and endpoint."""

    def __init__(
        self,
        access: Access,
        bucket: str,
        *,
        like: Session | None = None,
        options: Options = OPTIONS,
        hooks: SessionHooks = NO_HOOKS,
    ) -> None:
        """``like``: another session, whose credentials are shared if its profile is the same.

        Raises ``UsageError`` where there are no credentials.
        """
        self._access = access
        self._bucket = bucket
        self._like = like
        self._options = options
        self._hooks = hooks
        self._plain = plain_settings(access, bucket, os.environ)
        self._boto: BotoSession | None = None
        if self._plain is None:
            self._by_botocore()

    def open(self, prefix: str) -> Opened:
        """Find the bucket and its endpoint; ``prefix`` is common to all keys that will be used.

        Raises ``UsageError`` where it does not exist or the configuration is wrong, and
        ``FatalError`` where the store cannot be reached or refuses the credentials.
        """
        if self._plain is not None and self._page(prefix) is not None:
            return self._noted(self._plain.opened)
        return self._noted(self._by_botocore().open(prefix))

    def open_source(self, origin: Origin, *, by_name: bool = False) -> Opened:
        """Like ``open``, for a source: it must exist, and ListBucket must be allowed.

        ``by_name``: the keys come from a list, so no listing is needed. If there are no keys below
        the origin's prefix, the origin means the single object of that name; if there is neither,
        it is empty. Raises the errors of ``open``.
        """
        page = self._page(origin.prefix)
        if self._plain is not None and page is not None:
            if page.objects or not origin.prefix:
                return self._noted(self._plain.opened)
            if self._holds(origin.single):
                return self._noted(self._plain.opened._replace(single=True))
        return self._noted(self._by_botocore().open_source(origin, by_name=by_name))

    def open_unverified(self) -> Opened:
        """Return the bucket's address according to the configuration, without any request.

        For a caller that would notice a wrong one, and then call ``open``. Raises ``UsageError``.
        """
        return self._noted(
            self._plain.opened if self._plain else self._by_botocore().open_unverified()
        )

    def keys(self) -> Keys | None:
        """The credentials to use now; refreshes those about to expire."""
        return self._plain.keys if self._plain else self._by_botocore().keys()

    def key_source(self) -> KeySource:
        """Where the credentials come from."""
        if self._plain:
            return plain_source(self._access, os.environ)
        return self._by_botocore().key_source()

    def renew(self) -> Keys | None:
        """Load credentials again after the store said they expired; None if nothing changed.

        Raises ``UsageError`` for those that a job gives: there are no others.
        """
        if self._access.credentials is not None:
            other = f"or name a {self._options.another_profile} that renews its own"
            raise UsageError(f"they were given as they are: run again with new ones, {other}")
        if self._plain is None:
            return self._by_botocore().renew()
        before = self._plain.keys
        self._plain = plain_settings(self._access, self._bucket, os.environ)
        after = self.keys()
        return None if after == before else after

    def _noted(self, opened: Opened) -> Opened:
        """Return ``opened``; inform the user if requests to it can be read by others."""
        endpoint = opened.endpoint
        if self._access.secure and endpoint.scheme == "http" and not is_loopback(endpoint.host):
            exposed = "what is transferred can be read, and changed, on its way"
            self._hooks.notify(f"{endpoint.origin} is not encrypted: {exposed}: use https")
        return opened

    def _page(self, prefix: str) -> Page | None:
        return probe(self._plain, self._access, prefix) if self._plain else None

    def _holds(self, key: str | None) -> bool:
        """Whether a listing shows ``key``, which is the first of those that begin with it."""
        page = None if key is None else self._page(key)
        return page is not None and [each.key for each in page.objects[:1]] == [key]

    def _by_botocore(self) -> BotoSession:
        """The session that does all from here on."""
        self._plain = None
        if self._boto is None:
            self._hooks.before_botocore()
            from s3pp.s3.boto_session import BotoSession  # costs more than most runs do

            self._boto = BotoSession(
                self._access,
                self._bucket,
                like=self._like._boto if self._like else None,
                options=self._options,
                notify=self._hooks.notify,
            )
        return self._boto
