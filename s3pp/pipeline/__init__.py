"""The processes and what travels between them.

::

            put_queue (batches of tasks)            stat_queue (batches of results)
 walker ───────────────▶ ┌────────────┐ ◀────▶ putter × P    each: one event loop, C/P in flight
                         │ supervisor │
 statter ◀────────────── └────────────┘
    │  totals, journal, progress             one queue pair per child, beside its sentinel

``supervisor`` starts the children and carries batches between them; ``walker``, ``worker`` and
``statter`` are what the children run; ``messages`` is what they say; ``pipes`` is how it travels;
``children`` is how a child is started, named, watched and ended.
"""
