"""The processes of a run and the messages between them.

::

    walker ──TaskBatch──▶ ┌────────────┐ ◀──BatchReport── worker 1 … P   each: one event loop,
                          │ supervisor │ ───TaskBatch───▶                its share of C requests
    statter ◀───────────  └────────────┘
       │  totals, journal, log, progress       a pipe to and from each child, beside its sentinel

processes    ``supervisor``, ``walker``, ``worker``, ``statter``; ``listing`` and ``cleaner`` run
             ``list`` and ``clean`` in one
by verb      ``walks`` produces a walker's tasks, ``roles`` selects what a worker does with one
messages     ``messages``, sent through ``pipes``; ``batches`` groups tasks, and splits lost batches
supervising  ``ledger`` assigns batches to workers, ``part_scheduler`` parts, ``assignments``
             joins both; ``selector_loop`` waits for all children and ``signals``; ``children``
             starts and ends them, ``descriptors`` checks the limit on open files; ``spools``,
             ``open_uploads`` and ``dead_getters`` track what a dead worker leaves behind
in a child   ``connect`` opens buckets, with ``credentials`` that the supervisor renews;
             ``loops`` makes event loops, ``admission`` limits the active slots of a worker,
             ``flow`` the request rate of all; ``task_pool`` and ``part_client`` serve large objects
"""
