"""The credentials of a run, kept fresh by the supervisor for all its children."""

from __future__ import annotations

from s3pp.errors import FatalError, S3ppError
from s3pp.s3.session import Session
from s3pp.s3.sigv4 import Keys

PERIOD = 30.0  # seconds between looks at their expiry; boto3 refreshes some ten minutes before it
FRESH = 5.0  # seconds in which renewed keys answer everyone who asks


class Keyring:
    """Holds the keys in use; ``now`` is seconds on a monotonic clock everywhere."""

    def __init__(self, session: Session, keys: Keys | None, now: float) -> None:
        self._session = session
        self.keys = keys
        self._looked = now
        self._renewed = now - FRESH

    def refreshed(self, now: float) -> bool:
        """Look, if it is time, whether the keys were refreshed, and say so.

        Raises ``S3ppError`` where they have run out and cannot be.
        """
        if now - self._looked < PERIOD:
            return False
        self._looked = now
        keys = self._session.keys()
        changed, self.keys = keys != self.keys, keys
        return changed

    def renew(self, now: float) -> Keys | None:
        """Sign in again, once for all who ask at about the same time; None if that helps nobody.

        Raises ``FatalError``, which says why, where it is not possible.
        """
        if now - self._renewed < FRESH:
            return self.keys
        try:
            keys = self._session.renewed()
        except S3ppError as error:
            why = f"the store calls the credentials expired, and there are no others: {error}"
            raise FatalError(why) from None
        if keys is not None:
            self._renewed, self.keys = now, keys
        return keys
