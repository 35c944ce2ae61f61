"""The output of a run: its results are counted in ``totals`` and shown by views.

::

    outcomes ──▶ Recorder ──▶ Totals            the facts
                    ├──▶ View    stdout, stderr  text or JSON, by -v, -q, --json
                    ├──▶ Journal --journal       JSON lines, one per object
                    ├──▶ Log     --log-file      text, with time and level
                    └──▶ progress display        on a terminal

``recorder`` receives all results; ``failures`` groups failures by cause, and decides when one
ends the run. ``view`` selects the ``lines`` to print, ``escape`` makes them safe, ``summary`` is
the last. ``journal`` and ``log`` write their files through ``appender``, which opens them through
``private_file``; ``progress``, ``display`` and ``throughput`` are the progress display. ``keys``
formats the lines of ``list``.

Nothing here opens a standard stream: streams are arguments, and may be closed early (``outlet``).
"""
