"""What a run tells: facts folded in ``totals``, everything else a view of them.

::

    outcomes ──▶ Recorder ──▶ Totals            the facts
                    ├──▶ View    stdout, stderr  text or JSON, by -v, -q, --json
                    ├──▶ Journal --journal       JSON lines, one per object
                    ├──▶ Log     --log-file      text, with time and level
                    └──▶ progress display        on a terminal

``recorder`` takes everything in; ``failures`` are causes, and when they end a run. ``view``
decides which ``lines`` are printed, ``escape`` makes them safe, ``summary`` is the last.
``journal`` and ``log`` are files by ``appender``, which ``private_file`` opens; ``progress``,
``display`` and ``throughput`` are the display. ``keys`` are the lines of ``list``.

Nothing here opens a standard stream: streams are given, and may go away without harm (``outlet``).
"""
