"""``s3pp put - …`` and ``s3pp get … -``: one object, in one process on one event loop.

::

    standard input ──▶ StreamPutter ──▶ store ──▶ StreamGetter ──▶ standard output
                            └──────── Done | Skipped | Failed ──────────┴──▶ StreamRun
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from s3pp.job import Job
from s3pp.limits import PLACES
from s3pp.pipeline.connect import RetryHooks, connect, only_loop
from s3pp.pipeline.credentials import SignIn
from s3pp.pipeline.roles import worker_resources
from s3pp.pipeline.signals import Signals
from s3pp.pipeline.standard_streams import INPUT, OUTPUT, BlockingCalls, read_pieces, write_pieces
from s3pp.pipeline.stream_run import StreamRun, StreamTransfer
from s3pp.places import Origin
from s3pp.report.outlet import Streams
from s3pp.report.totals import RunReport
from s3pp.s3.client import Bucket
from s3pp.s3.session import Session, SessionHooks

# Creates the transfer, on the event loop that will run it.
MakeTransfer = Callable[[Bucket, StreamRun], StreamTransfer]


def put(job: Job, streams: Streams) -> RunReport:
    """Upload standard input to the key that is the destination of ``job``.

    Raises ``Stopped`` for a signal that arrives before anything was done, and the errors of
    ``Session.open``. Later errors are part of the result.
    """
    return _run(job, streams, (job.dest.bucket, job.dest.prefix), _putter)


def get(job: Job, origin: Origin, streams: Streams) -> RunReport:
    """Write the object that is ``origin`` to standard output.

    Raises as ``put`` does, and ``UsageError`` if there is no such object.
    """
    return _run(job, streams, (origin.bucket, origin.prefix), _getter)


def _run(job: Job, streams: Streams, place: tuple[str, str], make: MakeTransfer) -> RunReport:
    """Run the transfer that ``make`` creates; ``place``: the bucket and the key of the object."""
    bucket_name, key = place
    with Signals() as signals:
        run = StreamRun(job, streams, signals)
        session = Session(job.access, bucket_name, hooks=SessionHooks(run.notice))
        opened = session.open(key)
        run.settle(opened)
        renew = SignIn(session, opened.keys)
        hooks = RetryHooks(run.pause, notify=run.notice).limited_alone(job.speed)

        async def transfer() -> RunReport:
            bucket = connect(job.access, opened, PLACES + 1, renew=renew, hooks=hooks)
            return await run.execute(make(bucket, run), bucket)

        signals.calm = True
        return only_loop(streams.stderr.lines).run_until_complete(transfer())


def _putter(bucket: Bucket, run: StreamRun) -> StreamTransfer:
    from s3pp.transfer.put.stream_upload import StreamPutter

    calls = BlockingCalls()

    async def read(count: int) -> list[bytes]:
        pieces = await calls.run(lambda: read_pieces(INPUT, count))
        if sum(map(len, pieces)) < count:
            # A terminal interrupts the producer too, and the end that this makes is not that of the
            # data: the signal, which came first, must not be overtaken.
            run.check()
        return pieces

    return StreamPutter(run.job, bucket, worker_resources(run, run.own), read)


def _getter(bucket: Bucket, run: StreamRun) -> StreamTransfer:
    from s3pp.transfer.get.stream_download import StreamGetter

    calls = BlockingCalls()

    async def write(pieces: Iterable[bytes]) -> None:
        await calls.run(lambda: write_pieces(OUTPUT, pieces))

    return StreamGetter(run.job, bucket, worker_resources(run, run.own), write)
