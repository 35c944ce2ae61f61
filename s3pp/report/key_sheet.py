"""The output of a list: the pages of keys, and what users are notified of."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from s3pp.errors import FatalError
from s3pp.job import Job
from s3pp.records import Failed
from s3pp.report.failures import GiveUpRule
from s3pp.report.lines import Found, KeyTotals
from s3pp.report.list_views import view_of
from s3pp.report.outlet import Streams
from s3pp.report.voice import Voice, notice_lines, voice_of

if TYPE_CHECKING:
    from s3pp.report.list_progress import ListProgress


class KeySheet:
    """Writes the pages of a listing to the streams, and counts their keys.

    A voice has lines of its own for keys that failed and for notices.
    """

    def __init__(self, streams: Streams, job: Job) -> None:
        self.totals = KeyTotals(complete=False)
        self._rule = GiveUpRule("list")
        self._streams = streams
        self._job = job
        self._view = view_of(job)
        self._voice: Voice | None = voice_of(job)
        self._progress = _open_progress(streams, job)

    def take(self, page: Sequence[Found]) -> bool:
        """Write a page; False once stdout was closed.

        Raises ``FatalError`` if writing fails, or if every other key would fail too.
        """
        stdout = self._streams.stdout
        self.totals.fold(page)
        self._clear_progress()
        stdout.lines(self._view.lines(page))
        failed = [each for each in page if isinstance(each, Failed)]
        self._remark(failed)
        self._check_stdout()
        if len(failed) < len(page):
            self._rule.accept()
        if failed and (give_up := self._rule.add(failed)):
            raise FatalError(give_up.why)
        if self._progress is not None:
            self._progress.update(self.totals)
        return not stdout.gone

    def finish(self) -> None:
        """Write what is due when all is listed. Raises ``FatalError`` as ``take`` does."""
        self._clear_progress()
        self._streams.stdout.lines(self._view.rest())
        self._check_stdout()

    def notify(self, text: str) -> None:
        """Write a notice for users."""
        self._clear_progress()
        notice_lines(text, self._job).write_to(self._streams)

    def notify_empty(self) -> None:
        """Write a notice if the listing has come to its end, and there were no keys."""
        if self._progress is not None:
            self._progress.close(self.totals)
        if self.totals.keys:
            return
        from s3pp.report.emptiness import empty_notice  # what few listings need

        if text := empty_notice(self.totals, self._job):
            self.notify(text)

    def _clear_progress(self) -> None:
        if self._progress is not None:
            self._progress.clear()

    def _check_stdout(self) -> None:
        if (trouble := self._streams.stdout.trouble) is not None:
            raise FatalError(f"standard output cannot be written: {trouble}")

    def _remark(self, failures: Sequence[Failed]) -> None:
        for each in failures:
            said = None if self._voice is None else self._voice.outcome(each)
            if said is None:
                self._streams.stderr.lines(self._view.remarks([each]))
            else:
                said.write_to(self._streams)


def _open_progress(streams: Streams, job: Job) -> ListProgress | None:
    if not streams.stderr.terminal and not job.output.progress:
        return None
    from s3pp.report.list_progress import open_list_progress  # what few listings need

    return open_list_progress(streams, job)
