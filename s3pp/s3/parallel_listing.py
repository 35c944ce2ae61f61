"""Concurrent listing: ranges of keys, fetched in parallel and delivered in order.

::

    keys       ├─── range ───┼── range ──┼──── range ─────┤
    fetched     ▒▒▒▒▒▒▒▒→     ▒▒▒▒→       ▒▒▒▒▒▒→            one request in flight each
    delivered   ░░░░

A range begins after one string (``start-after``) and ends with another. Any strings will do: keys
of a page beyond the end of its range are dropped, since the next range includes them. Whenever
another request is allowed and every range has one in flight, a range is split in two.

The number of pages fetched ahead of delivery is bounded, and so is memory. Ranges far from the next
page to deliver get only a share of it, and the first range is never held back.

If a store turns out to ignore ``start-after``, or not to list in order, one range continues alone,
token by token. Nothing is missed: the end of a range is relied on only after the next range has
begun behind it, and ``list_requests`` has shown that the store honours the parameter.
"""

from __future__ import annotations

import asyncio
from bisect import bisect_right
from collections import deque
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import aclosing
from functools import partial
from operator import attrgetter

from s3pp.errors import ObjectError
from s3pp.s3.list_requests import LOSES_KEYS, StartAfterTest
from s3pp.s3.listing import AGAIN, Listed, Lister, ListingError, Page, PageOrder, read_page
from s3pp.s3.splitting import KeySpan, PageStep, Splitter, Stretch

PAGES_AHEAD = 16  # per lister: pages fetched before their turn
DISORDER = "the store does not list keys in order"  # a notice from ``list_pages``

Notify = Callable[[str], None]

UNREAD = Page([], None)


class Range:
    """The keys after ``after``, up to and including ``stretch.high``."""

    def __init__(self, after: str, stretch: Stretch) -> None:
        self.after = after
        self.stretch = stretch
        self.pages: deque[list[Listed]] = deque()  # fetched but not delivered
        self.fetched = 0  # pages
        self.done = False  # nothing is left to fetch
        self.busy = False  # a request is in flight
        self.error: Exception | None = None  # what ended it
        self._following: dict[str, str] | None = None  # parameters of the next request
        self.order = PageOrder(after)
        self.steps: list[PageStep] = []  # completed by the last page
        self._step = PageStep("", "", 0.0)  # of the last page, as far as known
        self._beyond: list[Listed] = []  # entries of the last page beyond the end

    @property
    def open(self) -> bool:
        """Whether there is more to fetch."""
        return not self.done and self.error is None

    @property
    def begun(self) -> bool:
        """Whether it is known that the store began after ``after``, or why it did not."""
        return self.fetched > 0 or self.done or self.error is not None

    @property
    def next_key(self) -> str | None:
        """The first key listed beyond the end; there are no keys between."""
        return self._beyond[0].key if self._beyond else None

    def parameters(self) -> dict[str, str]:
        """The parameters of the request for the next page."""
        if self._following is not None:
            return self._following
        return {"start-after": self.after} if self.after else {}

    def add(self, page: Page) -> bool:
        """Add the next page; False if its keys are not in order.

        Raises ``ListingError`` where the listing cannot be trusted.
        """
        ordered = self.order.follow(page)
        self.fetched += 1
        self._following = page.following
        objects = page.objects
        at = self._end_in(objects) if ordered else len(objects)
        self._beyond = objects[at:]
        self.done = page.token is None or bool(self._beyond)
        if objects:
            self._note(objects, at)
        if at:
            self.pages.append(objects[:at] if self._beyond else objects)
        return ordered

    def reopen(self) -> None:
        """Extend the range to the end of the prefix."""
        self.stretch.high = None
        if self._beyond:
            self.pages.append(self._beyond)
            self._beyond = []
        self.done = self.fetched > 0 and self._following is None

    def _note(self, objects: list[Listed], at: int) -> None:
        """Record how far this page got; ``at`` of ``objects`` are within the range."""
        first, last, stretch = objects[0].key, objects[-1].key, self.stretch
        # Until a range has pages of its own, it has the span of the range it was split from.
        opening = stretch.span.first if stretch.span and self.fetched > 1 else first
        stretch.span = KeySpan(opening, last, self.fetched)
        stretch.low = max(stretch.low, last)
        self.steps = [self._step._replace(end=first)] if self._step.pages else []
        self._step = PageStep(first, self.next_key or "", at / len(objects))
        if at and self._beyond:
            self.steps.append(self._step)

    def _end_in(self, objects: list[Listed]) -> int:
        high = self.stretch.high
        if high is None or not objects or objects[-1].key <= high:
            return len(objects)
        return bisect_right(objects, high, key=attrgetter("key"))


class ParallelListing:
    """Fetches the pages of one listing."""

    def __init__(
        self, lister: Lister, prefix: str, listers: int, after: str, notify: Notify
    ) -> None:
        self._lister = lister
        self._prefix = prefix
        self._listers = listers
        self._notify = notify
        self._most_held = PAGES_AHEAD * listers if listers > 1 else 1
        self._beginning = Range(after, Stretch(after, None))
        self._ranges = [self._beginning]  # in order; the first is being delivered
        self._alone = listers == 1  # the first range goes on to the end
        self._splitter = Splitter(prefix, credit=2 * listers)
        self._tasks: set[asyncio.Task[None]] = set()
        self._in_flight = 0  # requests
        self._parsing = asyncio.Lock()  # held while parsing a page
        self._progress = asyncio.Event()
        self._ordered = True
        self._skipped_to = ""  # keys up to this are dropped here, since the store does not
        self._start_after_test: StartAfterTest | None = None
        self._testing = self._tested = False
        self._closed = False
        self._defect: Exception | None = None

    async def pages(self) -> AsyncGenerator[list[Listed], None]:
        """Yield the pages in order. Raises any error of a request, and ``ListingError``."""
        try:
            while (page := await self._next()) is not None:
                yield page
        finally:
            self._closed = True
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _next(self) -> list[Listed] | None:
        while True:
            if self._defect is not None:
                raise self._defect
            self._schedule()
            front = self._ranges[0]
            if front.pages:
                page = self._without_skipped(front.pages.popleft())
                self._schedule()
                await self._let_requests_start()
                if page:
                    return page
                continue
            if front.error is not None:
                raise front.error
            if front.done and len(self._ranges) == 1:
                return None
            if front.done and self._ranges[1].begun and (self._tested or not self._testing):
                del self._ranges[0]
            else:
                self._progress.clear()
                await self._progress.wait()

    def _without_skipped(self, page: list[Listed]) -> list[Listed]:
        return [each for each in page if each.key > self._skipped_to] if self._skipped_to else page

    async def _let_requests_start(self) -> None:
        """Let started requests reach the wire before longer work blocks the event loop."""
        await asyncio.sleep(0)  # the tasks begin
        await asyncio.sleep(0)  # the wire sends their requests

    def _schedule(self) -> None:
        """Start as many requests as are allowed."""
        while self._in_flight < self._listers and not self._closed:
            near, far = self._fetchable()
            idle = [each for each in (*near, *far) if not each.busy]
            chosen = idle[0] if idle else self._split(near, far)
            if chosen is None:
                return
            chosen.busy = True
            self._spawn(self._fetch(chosen))

    def _fetchable(self) -> tuple[list[Range], list[Range]]:
        """The ranges that may fetch a page: those near the next page to deliver, and the others."""
        most = self._most_held
        held = sum(len(each.pages) + each.busy for each in self._ranges)
        near: list[Range] = []
        far: list[Range] = []
        offset = 0.0  # estimated number of pages before the range
        for each in self._ranges:
            if each.open:
                # Reserve room for near ranges: else far ones fill it, and only one lister works.
                share = 1.0 if offset <= most / 4 else 0.75 if offset <= most else 0.25
                front = not near and not far and not each.pages
                if front or held < most * share:
                    (near if offset <= most else far).append(each)
                offset += each.stretch.left
            offset += len(each.pages)
        return near, far

    def _split(self, near: list[Range], far: list[Range]) -> Range | None:
        if self._alone or not self._beginning.fetched:
            return None
        split = self._splitter.split([r.stretch for r in near], [r.stretch for r in far])
        if split is None:
            return None
        at = next(at for at, each in enumerate(self._ranges) if each.stretch is split.left)
        right = Range(split.right.low, split.right)
        self._ranges.insert(at + 1, right)
        self._start_test()
        return right

    def _start_test(self) -> None:
        """Start the test of ``start-after``, once, before anything relies on it."""
        if self._start_after_test is None or self._testing or self._alone:
            return
        self._testing = True
        self._spawn(self._test(self._start_after_test))

    async def _test(self, test: StartAfterTest) -> None:
        try:
            if not await test.passes(self._lister, self._prefix):
                if self._ranges[0] is not self._beginning:
                    raise ListingError(f"{LOSES_KEYS}: use one lister")
                self._continue_alone(LOSES_KEYS)
        except Exception as error:
            self._defect = error
        self._tested = True
        self._in_flight -= 1
        self._schedule()
        self._progress.set()

    def _spawn(self, work: Coroutine[None, None, None]) -> None:
        self._in_flight += 1
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _fetch(self, it: Range) -> None:
        try:
            await self._fetch_page(it, {"prefix": self._prefix, **it.parameters()})
        except Exception as error:
            self._finish_request(it, partial(self._fail, it, error))

    async def _fetch_page(self, it: Range, parameters: dict[str, str]) -> None:
        """Like ``fetch_page``, but pages that arrive together are parsed one by one.

        Between two of them, the request that follows the first is sent: else all requests would
        wait until all pages are parsed, and their answers arrive together again.
        """
        for again in range(AGAIN, -1, -1):
            body = await self._lister.list_page(parameters)
            async with self._parsing:
                # The page of a dropped range is not needed.
                page = UNREAD if it.done else read_page(body, again)
                if page is not None:
                    self._finish_request(it, partial(self._add, it, page))
                    await self._let_requests_start()
                    return

    def _finish_request(self, it: Range, apply: Callable[[], None]) -> None:
        """Handle the end of a request, and start another at once."""
        it.busy = False
        self._in_flight -= 1
        try:
            if not it.done:  # else it was dropped
                apply()
            self._schedule()
        except Exception as defect:  # raised in ``_next``, which would otherwise wait forever
            self._defect = defect
        self._progress.set()

    def _add(self, it: Range, page: Page) -> None:
        if it.after and not it.fetched and page.objects and page.objects[0].key <= it.after:
            self._list_from_start(it)
            if it is not self._beginning:
                return
        try:
            ordered = it.add(page)
            if not ordered:
                self._note_disorder()
        except ListingError as error:
            self._fail(it, error)
        else:
            if not self._alone:
                self._learn(it, page.objects)

    def _list_from_start(self, it: Range) -> None:
        """Fall back where the store listed from its first key, not from after ``it.after``."""
        self._continue_alone("the store ignores start-after")
        if it is self._beginning:
            self._skipped_to = it.after
            it.order = PageOrder()  # accept any keys

    def _note_disorder(self) -> None:
        if self._ordered:
            self._ordered = False
            if self._ranges[0] is not self._beginning:
                raise ListingError("the store lists some keys out of order: use one lister")
            self._notify(DISORDER)
            self._continue_alone(None)

    def _learn(self, it: Range, objects: list[Listed]) -> None:
        if it.pages or it.fetched == 1:
            self._splitter.record_page(fruitful=bool(it.pages))
        if objects:
            for step in it.steps:
                self._splitter.record_step(step)
            self._splitter.learn(it.stretch, objects, it.after)
        if self._start_after_test is None:
            self._start_after_test = StartAfterTest.find(
                objects, self._prefix, first=it.fetched == 1 and not it.after
            )
            if len(self._ranges) > 1:
                self._start_test()
        if objects and it is self._beginning and it.fetched == 1:
            self._splitter.begin(objects[0].key, objects[-1].key)
        if it.done:
            self._close_gap(it)
            if not it.pages and it is not self._ranges[0]:
                self._ranges.remove(it)

    def _close_gap(self, it: Range) -> None:
        """Drop the ranges in the gap in which ``it`` has shown that there are no keys."""
        next_key = it.next_key
        at = self._ranges.index(it) + 1
        while at < len(self._ranges) and not self._ranges[at].fetched:
            each = self._ranges[at]
            high = each.stretch.high
            if next_key is not None and (high is None or high >= next_key):
                each.stretch.low = max(each.stretch.low, next_key)
                self._splitter.measure(each.stretch)
                return
            if each.busy:
                self._splitter.record_page(fruitful=False)
            each.done = True
            del self._ranges[at]

    def _fail(self, it: Range, error: Exception) -> None:
        if it is not self._beginning and not it.fetched and isinstance(error, ObjectError):
            self._continue_alone(f"the store does not take start-after ({error})")
        else:
            it.error = error

    def _continue_alone(self, why: str | None) -> None:
        """Continue with the first range to the end, and drop the others."""
        if why is not None:
            self._notify(f"{why}: its keys are listed page after page")
        self._alone = True
        for dropped in self._ranges[1:]:
            dropped.done = True
        del self._ranges[1:]
        self._ranges[0].reopen()


async def list_pages(
    lister: Lister,
    prefix: str,
    *,
    listers: int = 1,
    start_after: str = "",
    notify: Notify | None = None,
) -> AsyncGenerator[list[Listed], None]:
    """Yield every key that begins with ``prefix``, once, in UTF-8 byte order, page by page.

    One page is fetched ahead of the consumer; with several ``listers``, that many requests are in
    flight at a time, and up to ``PAGES_AHEAD`` pages for each are held. ``start_after``: omit keys
    up to and including this. ``notify`` is called with a notice where the store prevents concurrent
    listing, or does not list in order, in which case keys are yielded in the store's order.

    Raises ``ListingError`` where the listing cannot be trusted, and any error of a request.
    """
    listing = ParallelListing(lister, prefix, listers, start_after, notify or (lambda _: None))
    async with aclosing(listing.pages()) as found:
        async for page in found:
            yield page
