"""The processes and what travels between them.

::

    walker ──TaskBatch──▶ ┌────────────┐ ◀──BatchReport── worker 1 … P   each: one event loop,
                          │ supervisor │ ───TaskBatch───▶                its share of C requests
    statter ◀───────────  └────────────┘
       │  totals, journal, log, progress       a pipe to and from each child, beside its sentinel

processes    ``supervisor``, ``walker``, ``worker``, ``statter``; ``listing`` and ``cleaner`` run
             ``list`` and ``clean`` in one
by verb      ``walks`` is what a walker goes through, ``roles`` what a worker does with a task
messages     ``messages``, through ``pipes``; ``batches`` of tasks, and of what a dead worker had
supervising  ``ledger`` knows who has what, ``part_scheduler`` likewise of parts, ``assignments``
             joins both; ``selector_loop`` waits for all children and ``signals``; ``children``
             starts and ends them, ``descriptors`` looks whether there are enough; ``spools``,
             ``open_uploads`` and ``dead_getters`` are what a dead worker would leave;
             ``run_result`` is how it ended
in a child   ``connect`` is its way to a bucket, with ``credentials`` that the supervisor renews;
             ``loops`` makes event loops, ``admission`` says how many slots of a worker work,
             ``flow`` how many requests a second all send; ``task_pool`` and ``part_client`` are
             for large objects
"""
