"""What a destination holds and its source does not: found by one merge of two ordered streams.

::

    targets, of the source's objects ──claim──▶ ┌────────────┐
                                                │ Extraneous │ ──▶ names that nothing claimed
    names at the destination, a stream ───────▶ └────────────┘

Both ascend in one order. Of names that nothing claims ``DeletionRule`` says which are deleted:

============================================  =============================================
a name that                                   is deleted
============================================  =============================================
the source has, in whatever form              no, unless a filter excludes it (see below)
the filters exclude by name                   with ``--delete-excluded``: excluded
the source has, left out by its size or age   with ``--delete-excluded``: excluded
the source could never have                   no: no run of this kind has written it
neither                                       yes: not in source
============================================  =============================================

Size and age are those of the source; what only the destination has is not compared with them.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from itertools import chain, islice
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

from s3pp.errors import ObjectError
from s3pp.job import Job
from s3pp.localfs.external_sort import SortMemory, sort_records
from s3pp.localfs.name_conflicts import fold_name, folds_names
from s3pp.localfs.paths import is_marker, is_unfinished, path_fault
from s3pp.localfs.tree import Tree
from s3pp.records import DeleteReason
from s3pp.s3.listing import Listed, ascending
from s3pp.s3.parallel_listing import list_pages
from s3pp.sources.destination_index import RemoteBucket, UnorderedListing
from s3pp.sources.filters import Filters, key_bytes, key_fault
from s3pp.sources.objects import iterate_pages

T = TypeVar("T")


class UnorderedTargets(Exception):
    """Raised where targets do not ascend, so that nothing can be said of what they passed."""


class Ordered(Protocol):
    """A value that sorts."""

    def __lt__(self, other: Any, /) -> bool:
        """Return whether it comes before ``other``."""


class Extraneous(Generic[T]):
    """The merge: elements at the destination that no target claims are passed to ``drop``.

    ``found`` ascends strictly by ``place``, the form of names in which both sides ascend; None:
    names ascend as they are. The planner claims each target, and ``pipeline/mirror`` once more.
    """

    def __init__(
        self,
        found: Iterable[T],
        *,
        name: Callable[[T], str],
        drop: Callable[[T], None],
        place: Callable[[str], Ordered] | None = None,
    ) -> None:
        self._found = iter(found)
        self._name = name
        self._drop = drop
        self._place = place
        self._started = False
        self._next: T | None = None
        self._at: Ordered = ""  # the place of ``_next``
        self._claimed = False  # ``_next`` is
        self._target: str | None = None  # the last one
        self._wanted: Ordered | None = None  # its place

    def claim(self, target: str) -> T | None:
        """Return the element called ``target``, which is not extraneous; None: there is none.

        Targets ascend from call to call, and may be repeated. Raises ``UnorderedTargets`` where
        they do not, and the errors of ``found``.
        """
        if target == self._target:
            return self._next if self._claimed else None
        place, last = self._place, self._wanted
        wanted: Ordered = target if place is None else place(target)
        if last is not None and wanted < last:
            raise UnorderedTargets
        self._target, self._wanted = target, wanted
        if not self._started:
            self._start()
        if self._next is not None and self._at < wanted:
            self._pass(wanted)
        if self._next is None or wanted < self._at:
            return None
        self._claimed = True
        return self._next

    def finish(self) -> None:
        """Pass on what is left: there are no more targets. Raises the errors of ``found``."""
        if not self._started:
            self._start()
        if self._next is None:
            return
        if not self._claimed:
            self._drop(self._next)
        self._next, self._claimed, drop = None, False, self._drop
        for each in self._found:  # which nothing can claim any more
            drop(each)

    def _start(self) -> None:
        self._started = True
        self._next = next(self._found, None)
        if self._next is not None:
            name = self._name(self._next)
            self._at = name if self._place is None else self._place(name)

    def _pass(self, wanted: Ordered) -> None:
        """Advance to the first element that is not before ``wanted``.

        Runs for each element of a destination that may have very many, hence local variables.
        """
        found, name, place, drop = self._found, self._name, self._place, self._drop
        current, claimed = self._next, self._claimed
        self._claimed = False
        while current is not None:
            if not claimed:
                drop(current)
            claimed = False
            self._next = current = next(found, None)
            if current is None:
                return
            at: Ordered = name(current) if place is None else place(name(current))
            if not at < wanted:
                self._at = at
                return


class Subtrees:
    """Prefixes of ascending names below which nothing is extraneous: links not followed."""

    def __init__(self) -> None:
        self._tops: list[str] = []  # each begins with the one before

    def add(self, name: str) -> None:
        """Add what is below ``name``, which comes after all names seen."""
        self._tops = [top for top in self._tops if name.startswith(top)]
        self._tops.append(name)

    def contain(self, name: str) -> bool:
        """Return whether ``name`` is below one of them."""
        return bool(self._tops) and any(name.startswith(f"{top}/") for top in self._tops)


class DeletionRule(NamedTuple):
    """Which names at the destination may be deleted where the source has none such."""

    filters: Filters
    excluded: bool  # --delete-excluded
    fault: Callable[[str], object]  # true for a name that the source could not have
    suffix: str = ""  # that files have, and names of objects do not

    @classmethod
    def of(cls, job: Job, filters: Filters) -> DeletionRule:
        """Return the rule of ``job``, whose names ``filters`` choose."""
        fault = {"put": _file_fault, "get": _key_fault}.get(job.verb, _is_top)
        suffix = job.download.gzip_suffix
        return cls(filters, job.deletion.excluded, fault, suffix)

    def decide(self, name: str) -> DeleteReason | None:
        """Return why ``name``, relative to the destination, is deleted; None: it is not."""
        if self.fault(name):
            return None
        if self._is_excluded(name):
            return DeleteReason.EXCLUDED if self.excluded else None
        return DeleteReason.NOT_IN_SOURCE

    def enters(self, directory: str) -> bool:
        """Return whether anything below ``directory`` may be deleted."""
        return self.excluded or self.filters.tree_refusal(directory) is None

    def _is_excluded(self, name: str) -> bool:
        refusal = self.filters.name_refusal
        if not self.filters.by_name:
            return False
        if self.suffix and name.endswith(self.suffix) and refusal(name[: -len(self.suffix)]):
            return True
        return refusal(name) is not None


def _file_fault(name: str) -> bool:
    """Return whether no file can have sent the key ``name``."""
    return is_marker(name) or path_fault(name, 1) is not None


def _key_fault(name: str) -> bool:
    """Return whether no object can have become the file ``name``, or not yet: it is unfinished."""
    return is_unfinished(name) or key_fault(key_bytes(name)) is not None


def _is_top(name: str) -> bool:
    """Return whether the key is that of the destination itself."""
    return not name


class MirrorScope(NamedTuple):
    """The names at a destination that a source may give: no others are deleted."""

    prefix: str  # of all of them
    cut: int  # characters of each that its name for the filters leaves out

    @classmethod
    def of(cls, job: Job) -> MirrorScope:
        """Return the scope of a job that reads one directory or prefix."""
        start, rest = "", ""
        if job.origins:
            start, cut = job.origin.renaming
            rest = job.origin.prefix[cut:]
        elif job.sources[0].name:
            start = f"{job.sources[0].name}/"
        top = start if job.verb == "get" else job.dest.key(start)
        return cls(top + rest, len(top))

    def has(self, name: str) -> bool:
        """Return whether ``name`` is in scope."""
        return name.startswith(self.prefix)


# What stands at a destination


def list_in_order(bucket: RemoteBucket, prefix: str, *, listers: int) -> Iterator[Listed]:
    """Yield the objects below ``prefix``, all of them, with so many requests in flight.

    Raises ``UnorderedListing``, ``ListingError`` and the errors of requests.
    """
    pages = list_pages(bucket, prefix, listers=listers)
    return in_order(iterate_pages(pages, bucket), UnorderedListing())


def in_order(pages: Iterable[list[Listed]], disorder: Exception) -> Iterator[Listed]:
    """Yield the objects of a listing; raises ``disorder`` where keys do not ascend strictly."""
    last = ""
    for page in pages:
        if not ascending(page) or (page and page[0].key <= last):
            raise disorder
        last = page[-1].key if page else last
        yield from page


def as_the_system_names(
    names: Iterator[str], directory: str, *, write: bool
) -> tuple[Iterator[str], Callable[[str], Ordered]]:
    """Return the names of files, and by what they sort: on some systems ``A`` is ``a``.

    ``write`` as in ``folds_names``.
    """
    if os.path.isdir(directory) and folds_names(directory, write=write):
        return sort_records(names, key=fold_name), fold_name
    return names, key_bytes


class _Directory(NamedTuple):
    path: str  # relative to the top: "" or "a/b/"
    names: Iterator[tuple[bytes, str]]  # those not walked yet


def walk_directory(
    tree: Tree, enters: Callable[[str], bool], trouble: Callable[[str], None]
) -> Iterator[str]:
    """Yield the regular files below the top of ``tree``, in the UTF-8 byte order of their paths.

    No link is followed or yielded, nor what is no file, nor unfinished downloads. Directories for
    which ``enters`` is false are left out. Directories that cannot be read are passed to
    ``trouble``, in one line; those that vanish have nothing.
    """
    memory, stack = SortMemory(), list[_Directory]()
    stack.append(_read("", tree, memory, trouble))
    while stack:
        directory = stack[-1]
        order, name = next(directory.names, (b"", ""))
        path = directory.path + name
        if not name:
            stack.pop()
        elif not order.endswith(b"/"):
            yield path
        elif enters(path):
            stack.append(_read(f"{path}/", tree, memory, trouble))


def _read(path: str, tree: Tree, memory: SortMemory, trouble: Callable[[str], None]) -> _Directory:
    names = sort_records(_scan(path, tree, trouble), memory=memory)
    return _Directory(path, chain(list(islice(names, 1)), names))  # the scan has ended by now


def _scan(path: str, tree: Tree, trouble: Callable[[str], None]) -> Iterator[tuple[bytes, str]]:
    """Yield the names in a directory, unsorted, each with the bytes that it sorts by."""
    try:
        found = tree.directory(path.removesuffix("/"), make=False)
        if found is None:
            return
        with os.scandir(found) as entries:
            for entry in entries:
                order = os.fsencode(entry.name)
                if entry.is_dir(follow_symlinks=False):
                    yield order + b"/", entry.name
                elif entry.is_file(follow_symlinks=False) and not is_unfinished(entry.name):
                    yield order, entry.name
    except ObjectError as error:
        trouble(str(error))
    except OSError as error:
        trouble(str(tree.refusal(path, "read", error)))
