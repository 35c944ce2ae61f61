"""When to give up: a store that has gone, or that refuses every abort."""

from __future__ import annotations

from s3pp.errors import FailureKind, FatalError
from s3pp.pipeline.statter import ENOUGH_SILENCE
from s3pp.report.aborts import Aborted, Fate, Refused
from s3pp.report.failures import ENOUGH_REFUSALS


class Watch:
    """Hears how each upload of a clean ended, as ``Statter`` hears of the other verbs' objects."""

    def __init__(self) -> None:
        self._accepted = False
        self._refused = 0
        self._refusal = ""
        self._unreached = 0  # uploads in a row that no answer came for

    def see(self, fate: Fate) -> None:
        """Take in how an upload ended. Raises ``FatalError`` where no other would end better."""
        kind = fate.kind if isinstance(fate, Refused) else None
        self._accepted = self._accepted or isinstance(fate, Aborted)
        self._unreached = self._unreached + 1 if kind is FailureKind.NETWORK else 0
        if isinstance(fate, Refused) and kind is FailureKind.ACCESS:
            self._refused, self._refusal = self._refused + 1, fate.message
        if isinstance(fate, Refused) and self._unreached == ENOUGH_SILENCE:
            raise FatalError(f"the store does not answer any more: {fate.message}")
        verdict = self.verdict()
        if verdict and self._refused >= ENOUGH_REFUSALS:
            raise verdict

    def verdict(self) -> FatalError | None:
        """What is to be said where all were refused."""
        if self._accepted or not self._refused:
            return None
        return FatalError(f"the store refuses every abort: {self._refusal}")
