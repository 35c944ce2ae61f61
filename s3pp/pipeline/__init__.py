"""The processes of a run and the messages between them.

::

    walker ──TaskBatch──▶ ┌────────────┐ ◀──BatchReport── worker 1 … P   each: one event loop,
                          │ supervisor │ ───TaskBatch───▶                its share of C requests
    statter ◀───────────  └────────────┘
       │  totals, journal, log, progress       a pipe to and from each child, beside its sentinel

start        ``runs`` selects what executes a job; ``exclusion`` holds its lock meanwhile
processes    ``supervisor``, ``walker``, of ``archives`` too, ``worker``, ``statter``; ``listing``,
             ``bucket_listing`` and ``cleaner`` run ``list``, ``du`` and ``clean`` in one
streams      ``streaming`` puts standard input, and gets to standard output, in one process as well:
             ``stream_run`` is its run, ``standard_streams`` reads and writes
by verb      ``walks`` selects what the walker finds, ``roles`` what a worker does with a task,
             ``compound_roles`` with ``--rules``;
             ``deletions`` what it deletes from
verify       ``verification`` and ``journal_walk`` select what the walker finds, ``verifying_roles``
             what a worker does with it
ETag cache   ``digest_storage`` writes it, on a thread of the statter
messages     ``messages``, sent through ``pipes``; ``progress_messages`` are for displays
supervising  ``children`` are started by a crew, each a ``child``, and watched by
             ``selector_loop``; ``signals`` end the run; ``key_exchange`` sends new keys; ``ledger``
             assigns batches and parts to workers, ``assignments`` joins both and tracks what a dead
             worker leaves behind; ``counting`` adds up what the walker finds, and starts the
             ``counter``, which is ahead of it where progress is shown; ``flow`` limits the request
             rate of all, and ``shared_pace`` shares it with other runs on the machine
cluster      ``cluster/`` has workers on the machines of a Dask cluster
deletions    ``mirror`` finds what ``--delete`` is to delete, ``planned_deletions`` has what a plan
             deletes, ``delete_spool`` keeps it until ``delete_phase`` has decided; ``deletions``
             runs the batches
in a child   ``preloading`` imports what workers share; ``connect`` opens buckets, with
             ``credentials`` that the supervisor renews; ``slots`` limits what a worker does at
             once, ``screening`` decides before what takes no request, ``part_client`` has parts of
             large objects transferred, and ``large_objects`` reports on those; ``orphaned`` cleans
             up where the supervisor is gone
"""
