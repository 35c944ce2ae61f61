"""The supervisor: the main process and the selector loop.

It starts the children, routes messages between them by their fields, keeps the ledger of
assignments, replaces workers that die, watches the signals, and decides the exit code. It
never waits for a single child: the selector loop watches all pipes and sentinels.

The phases of a run and their transitions::

    RUNNING ──WalkDone or walker's Fatal, ledger empty──▶ CLOSING ──StatterReport──▶ OVER
       └──signal, another's Fatal──▶ DRAINING ──ledger empty of what had begun──▶ CLOSING
                                └──a second signal: all children are killed

Order of the end: workers first (NoMoreTasks when the ledger is empty), then the statter, which must
have every report; the walker ends by itself, or is killed, as it writes nothing.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from enum import Enum

from s3pp.errors import ExitStatus, FatalError
from s3pp.job import Job
from s3pp.localfs.tree import make_directory
from s3pp.pipeline import messages
from s3pp.pipeline.assignments import Assignments, DeadGetters, crash_report, unrecorded
from s3pp.pipeline.child import Child
from s3pp.pipeline.children import Callbacks, Crew
from s3pp.pipeline.counting import CountAhead, WalkTally
from s3pp.pipeline.credentials import OpenBuckets
from s3pp.pipeline.delete_phase import DeletePhase, NoDeletion
from s3pp.pipeline.flow import FlowControl
from s3pp.pipeline.key_exchange import KeyExchange
from s3pp.pipeline.signals import Signals, stopping_notice
from s3pp.report.failures import Cause
from s3pp.report.totals import Extent, Retries, RunReport, run_report

LEAST_TICK, TICK = 0.02, 0.5  # seconds between periodic checks: at least, and at most
MOST_DEATHS = 10  # of workers in a row without a report in between, plus two for each worker
_FOR_STATTER: tuple[type, ...] = (messages.Notice, messages.NamesExcluded, messages.FileDigests)
_FOR_STATTER += (Retries, Extent, messages.ActiveObjects)  # as they are, whoever sends them
STATTER_BACKLOG = 256  # unsent messages to the statter above which the walker must wait


class Phase(Enum):
    """The phase of a run; for the transitions see the module docstring."""

    RUNNING = 1
    DRAINING = 2
    CLOSING = 3
    OVER = 4


class Supervisor:
    """Executes one run, with the children of a crew."""

    def __init__(
        self, job: Job, signals: Signals, create_crew: Callable[[Job, Callbacks], Crew]
    ) -> None:
        self._job = job
        self._signals = signals
        callbacks = Callbacks(
            self._on_worker, self._on_readable, self._on_death, self._notify, self._abort
        )
        self._crew = create_crew(job, callbacks)
        self._loop = self._crew.loop
        self._phase = Phase.RUNNING
        self._started = self._now = time.monotonic()
        self._assignments: Assignments[Child] = Assignments(job)
        self._dead_getters = DeadGetters(job)
        self._deletions = DeletePhase(job)
        self._flow = FlowControl[Child](self._loop.send, self._abort, job)
        self._deaths = 0  # of workers, since the last report of a batch or a part
        self._finished = 0
        self._walk = WalkTally()
        self._count = CountAhead(job, self._started, self._crew.launch, self._loop.send)
        self._walk_ended = False  # every object is listed, or the walk has failed
        self._error: str | None = None
        self._signal: ExitStatus | None = None
        self._report: messages.StatterReport | None = None

    def run(self) -> RunReport:
        """Start the children, route messages until all is done, and clean up."""
        try:
            if self._job.walk == "tar":  # nothing else needs it, and a killed run would leave it
                self._assignments.spools.create_directory()
            self._set_up()
            self._signals.calm = True
            while self._phase is not Phase.OVER:
                self._turn()
            totals, refusal = self._report or (None, None)
            return run_report(totals, refusal=refusal, error=self._error, signal=self._signal)
        finally:
            self._clean_up()

    # Starting

    def _on_worker(self, worker: Child) -> None:
        self._assignments.join(worker)
        self._flow.join(worker)

    def _set_up(self) -> None:
        """Find the buckets, start the children, and send them the buckets' addresses."""
        self._buckets = OpenBuckets(self._job, self._now, self._notify, self._start_all)
        self._crew.start(self._assignments.spools.directory, self._started)
        self._keys = KeyExchange(self._buckets, self._loop, self._crew.statter, self._abort)
        job = self._buckets.job
        self._flow.share(job.stores.dest or job.stores.source)
        self._dead_getters = DeadGetters(job)
        if job.directory and not (job.is_read_only or job.reads_nothing):
            make_directory(job.directory)
        for child in (self._crew.walker, *self._crew.workers):
            self._loop.send(child, self._setup)
        self._loop.send(self._crew.statter, messages.Setup(job, {}))
        self._loop.send(self._crew.statter, messages.batch_report([], self._buckets.probes))
        self._loop.watch(self._signals.fd, self._on_signal)

    def _start_all(self) -> None:
        """Start all children, while a fork copies nothing that they do not need."""
        self._crew.start(self._assignments.spools.directory, self._started)
        while not (self._crew.complete or self._signals.calm):  # calm: keys are renewed, in a run
            self._crew.start_worker()

    @property
    def _setup(self) -> messages.Setup:
        return messages.Setup(self._buckets.job, self._buckets.opened)

    # One turn of the loop

    def _turn(self) -> None:
        self._gate()
        self._loop.turn(self._flow.permit(TICK))
        if self._phase is Phase.RUNNING:
            self._assign()
        self._advance()
        self._tick()

    def _assign(self) -> None:
        """Assign waiting work, and start workers as it needs them."""
        self._grow()
        for worker, work in self._assignments.assign():
            self._loop.send(worker, work)
            self._grow()

    def _grow(self) -> None:
        if not self._crew.complete and (self._crew.eager or self._assignments.crowded):
            self._start_worker()

    def _start_worker(self, name: str | None = None) -> None:
        """Start a worker, as ``Crew.start_worker`` does; the run is aborted where that fails."""
        try:
            if (worker := self._crew.start_worker(name)) is not None:
                for message in (self._setup, *self._assignments.uploads.orphans):
                    self._loop.send(worker, message)
        except FatalError as error:
            self._abort(str(error))
        self._flow.spread()

    def _gate(self) -> None:
        """Read from the walker only while workers and the statter have room for its messages."""
        if self._crew.walker not in self._loop.children:
            return  # and the number of its descriptor may be another child's by now
        wanted = (
            not self._crew.walker.inbox.closed
            and self._assignments.wants_more
            and len(self._crew.statter.outbox) < STATTER_BACKLOG
        )
        walker = self._crew.walker
        self._loop.gate(walker.inbox.fd, lambda: self._on_readable(walker), open=wanted)

    def _advance(self) -> None:
        """Enter the next phase, if this one is complete."""
        if not self._assignments.empty or self._phase not in (Phase.RUNNING, Phase.DRAINING):
            return
        if self._phase is Phase.RUNNING and not self._walk_ended:
            if self._deletions.ask():
                self._loop.send(self._crew.statter, messages.CountFailures())
            return
        if early := self._deletions.end():
            self._notify(early)
        left = self._walk.objects - self._finished if self._phase is Phase.DRAINING else 0
        self._phase = Phase.CLOSING
        for worker in self._crew.workers:
            self._loop.send(worker, messages.NoMoreTasks())
        what = (self._walk.objects, left, self._walk.done, self._deletions.reason)
        self._loop.send(self._crew.statter, messages.RunDone(*what, self._error, self._signal))

    def _tick(self) -> None:
        """Periodic work: worker timeouts, credentials, rate limit and walk progress."""
        passed = time.monotonic() - self._now
        if passed < LEAST_TICK:
            return
        self._now += passed
        # Bounded, so that a supervisor that was suspended does not time out its children.
        self._crew.kill_silent(min(passed, 2 * TICK))
        self._keys.refresh(self._now)
        self._flow.balance(self._now, self._crew.statter)
        if self._phase is Phase.RUNNING and (found := self._walk.take_progress()):
            self._loop.send(self._crew.statter, found)
        walks = self._phase is Phase.RUNNING and not self._walk.done
        self._count.advance(self._now, lambda: self._setup, wanted=walks)

    # What children say

    def _on_readable(self, child: Child) -> None:
        self._crew.heard(child)
        for message in child.inbox.once():
            self._receive(child, message)
        if child.inbox.closed:
            self._loop.unwatch(child.inbox.fd)

    def _receive(self, child: Child, message: messages.Message) -> None:
        match message:
            case messages.BatchReport():
                self._on_report(child, message)
            case messages.TaskBatch():
                self._count_listed(message)
                self._assignments.add(message)
            case messages.PartRequest():
                if self._phase is Phase.RUNNING:  # else its lead gets StartNothing
                    self._assignments.offer(child, message)
            case messages.PartResult():
                self._on_part_result(child, message)
            case messages.PartProgress():
                self._assignments.record_progress(child)
                self._loop.send(self._crew.statter, message)
            case messages.Feedback() | messages.Demand():
                self._flow.observe(child, message, time.monotonic())
            case messages.SpoolFile() | messages.OpenUpload():
                self._assignments.record(child, message)
            case _ if isinstance(message, _FOR_STATTER):
                self._loop.send(self._crew.statter, message)
            case messages.KeysExpired(side):
                self._keys.renew(child, side, self._now)
            case messages.Fatal(text) if child is not self._count.counter:
                walker = child is self._crew.walker
                self._walk_ended |= walker  # what it found by then is done all the same
                self._abort(text + child.where, drain=not walker)
            case messages.WalkDone():
                self._walk.done = True
                self._walk_ended = not self._deletions.plan(message)
            case messages.FailureCount(failed) if self._phase is Phase.RUNNING:
                self._decide_deletion(failed)
            case messages.StatterReport():
                self._report = message
                self._phase = Phase.OVER

    def _on_report(self, child: Child, report: messages.BatchReport) -> None:
        if child is self._crew.walker:
            self._count_listed(report)
        else:
            self._walk.objects += self._assignments.close(child, report)
            self._deaths = 0
        self._finished += report.objects
        self._loop.send(self._crew.statter, report._replace(deletions=None))

    def _on_part_result(self, child: Child, result: messages.PartResult) -> None:
        """Route the result of a part to its lead, and its size to the statter."""
        self._deaths = 0
        if answer := self._assignments.close_part(child, result):
            self._loop.send(*answer)
        self._loop.send(self._crew.statter, messages.PartProgress(result.size, result.requests))

    def _count_listed(self, message: messages.TaskBatch | messages.BatchReport) -> None:
        if not self._deletions.deleting:  # else they have been counted when that was decided
            self._walk.add(message)

    # Deletions

    def _decide_deletion(self, failed: int) -> None:
        """Have the walker send what is to be deleted, unless something is against it."""
        why = self._deletions.decide(failed)
        if self._deletions.deleting:  # also where a dry run only shows it
            self._walk.objects += self._deletions.count
            self._loop.send(self._crew.walker, messages.SendDeletes())
        else:
            self._walk_ended = True
            self._dismiss_walker()
        if why is NoDeletion.FAILED:  # which decides the exit code
            self._notify(self._deletions.refusal)
        elif why is not None:
            self._abort(self._deletions.refusal, drain=False)

    # What goes wrong

    def _on_signal(self) -> None:
        for status in self._signals.take():
            if self._phase is Phase.RUNNING and self._signal is None:
                self._signal = status
                self._drain()  # before it is said, so that nothing starts once that is read
                self._notify(stopping_notice(status))
            elif self._signal is None:  # the run was ending anyway
                self._signal = status
            else:
                self._drop_workers()

    def _abort(self, error: str, cause: Cause | None = None, *, drain: bool = True) -> None:
        if self._error is None:
            self._error = error
            self._loop.send(self._crew.statter, messages.Fatal(error, cause))  # before the failures
        if drain and self._phase is Phase.RUNNING:
            self._drain()

    def _drain(self) -> None:
        """Start nothing more; transfers in flight finish and are reported."""
        self._phase = Phase.DRAINING
        self._dismiss_walker()
        self._assignments.drop_waiting()
        for worker in self._crew.workers:
            self._loop.send(worker, messages.StartNothing())

    def _dismiss_walker(self) -> None:
        self._crew.walker.kill()
        self._forget(self._crew.walker)

    def _drop_workers(self) -> None:
        """Kill the workers after a second signal; transfers in flight stay unreported."""
        if left := self._assignments.uploads.describe(self._job.writes):
            self._notify(left)
        for worker in list(self._crew.workers):
            worker.kill()
            self._forget(worker)
            self._assignments.leave(worker)
        self._assignments.drop_waiting()
        if self._phase is Phase.CLOSING:
            self._phase = Phase.OVER

    def _on_death(self, child: Child) -> None:
        child.process.join()
        for message in child.inbox.available():
            self._receive(child, message)
        self._forget(child)
        if child is self._crew.statter:
            self._on_statter_death(child)
        elif child is self._crew.walker:
            if not self._walk_ended:
                why = f"the walker {child.how_it_ended()}: {self._deletions.loss}"
                self._abort(f"{why}: run the same command again")
        elif self._phase in (Phase.RUNNING, Phase.DRAINING) and child is not self._count.counter:
            self._on_worker_death(child)

    def _on_statter_death(self, child: Child) -> None:
        if self._report is None:
            why = unrecorded(self._finished, journal=self._job.output.journal is not None)
            self._error = self._error or f"the statter {child.how_it_ended()}: {why}"
            self._phase = Phase.OVER

    def _on_worker_death(self, child: Child) -> None:
        answers, given_up = self._assignments.leave(child)
        for answer in answers:
            self._loop.send(*answer)
        if self._phase is Phase.DRAINING:
            self._assignments.drop_waiting()
            return
        self._deaths += not child.was_lost
        self._fail(given_up, child.how_it_ended())
        if self._deaths > MOST_DEATHS + 2 * self._job.speed.all_processes:
            advice = "if memory is short, lower --processes or --concurrency"
            self._abort(f"workers keep dying: {child.name} {child.how_it_ended()}: {advice}")
            return
        self._notify(self._crew.describe_loss(child))
        self._start_worker(child.name)

    def _fail(self, batches: list[messages.TaskBatch], how: str) -> None:
        """Report objects that were given up; ``how`` describes the end of the last worker."""
        for batch in batches:
            self._deaths = 0
            self._finished += batch.objects
            self._loop.send(self._crew.statter, crash_report(batch, how))

    # The end

    def _clean_up(self) -> None:
        for child in list(self._loop.children):
            if self._phase is Phase.OVER and self._report is not None:
                child.process.join(1.0)  # it is ending by itself
            child.kill()
            self._forget(child)
        self._loop.close()
        self._flow.close()
        self._dead_getters.sweep()
        self._assignments.spools.remove_directory()

    def _notify(self, text: str) -> None:
        self._crew.start(self._assignments.spools.directory, self._started)  # if it was not yet
        self._loop.send(self._crew.statter, messages.Notice(text))

    def _forget(self, child: Child) -> None:
        self._loop.forget(child)
        if self._crew.workers.pop(child, None) is not None:
            self._dead_getters.record(self._assignments.batches_of(child))
        self._flow.leave(child)
