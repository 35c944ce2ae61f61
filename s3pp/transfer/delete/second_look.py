"""The look at objects right before they are deleted, where a store may ignore conditions.

A page of a listing answers for up to 1,000 objects; a HEAD for each that it does not have.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import takewhile

from s3pp.errors import ObjectError
from s3pp.records import DeleteTask
from s3pp.s3.client import Bucket
from s3pp.s3.listing import fetch_page
from s3pp.s3.retry import Remedy, StoreError
from s3pp.sources.destination_index import just_before
from s3pp.transfer.delete.deleter import Ended, gone, not_deleted, replaced, run_each

FEW = 4  # objects that are looked at with a HEAD each
MOST_PAGES = 3  # of a batch: where the objects lie far apart, HEADs are fewer
BLIND = (
    "access denied: HEAD on s3://{} ({}): what is replaced between its listing and its deletion is"
    " deleted all the same"
)


class SecondLook:
    """Looks at objects of one bucket once more."""

    def __init__(self, bucket: Bucket, notes: list[str]) -> None:
        self._bucket = bucket
        self._notes = notes
        self._lists = True  # False: the store refuses
        self._blind = False  # HEAD is refused, too

    async def find_unchanged(self, tasks: Sequence[DeleteTask], ended: Ended) -> list[DeleteTask]:
        """Return the tasks whose objects are as they were seen, or whose ETag is not known.

        The others get their outcomes. Raises ``FatalError`` and ``RunEnding``.
        """
        known = [task for task in tasks if task.etag]
        same = await self._list(known) if len(known) > FEW and self._lists else {}

        async def look(task: DeleteTask) -> None:
            await self._head(task, ended)

        await run_each(look, [task for task in known if same.get(task.target) != task.etag])
        return [task for task in tasks if task.target not in ended]

    async def _list(self, tasks: Sequence[DeleteTask]) -> dict[str, str]:
        """Return ETags by key, from pages of a listing; what it lacks is not known to be gone."""
        keys = sorted(task.target for task in tasks)
        parameters = {"prefix": _common(keys[0], keys[-1]), "start-after": just_before(keys[0])}
        found: dict[str, str] = {}
        try:
            for _ in range(MOST_PAGES):
                page = await fetch_page(
                    self._bucket, {name: value for name, value in parameters.items() if value}
                )
                found.update((each.key, each.etag) for each in page.objects)
                if page.following is None or (page.objects and page.objects[-1].key >= keys[-1]):
                    break
                parameters = {"prefix": parameters["prefix"], **page.following}
        except ObjectError as error:
            self._lists = not (isinstance(error, StoreError) and error.remedy is Remedy.NONE)
        return found

    async def _head(self, task: DeleteTask, ended: Ended) -> None:
        if self._blind:
            return
        try:
            found = await self._bucket.head(task.target)
        except StoreError as error:
            if error.status == 403:
                self._blind = True
                self._notes.append(BLIND.format(self._bucket.endpoint.bucket, error))
            else:
                ended[task.target] = not_deleted(task, error)
        except ObjectError as error:
            ended[task.target] = not_deleted(task, error)
        else:
            if found is None:
                ended[task.target] = gone(task)
            elif found.etag != task.etag:
                ended[task.target] = replaced(task)


def _common(first: str, last: str) -> str:
    """Return what both keys begin with, and so each key between them."""
    pairs = zip(first, last, strict=False)
    return "".join(one for one, _ in takewhile(lambda pair: pair[0] == pair[1], pairs))
