"""What a run tells: facts folded in ``totals``, everything else a view of them.

::

    outcomes ──▶ Recorder ──▶ Totals            the facts
                    ├──▶ View    stdout, stderr  text or JSON, by -v, -q, --json
                    ├──▶ Journal --journal       JSON lines, one per object
                    ├──▶ Log     --log-file      text, with time and level
                    └──▶ progress display        on a terminal

Nothing here opens a standard stream: streams are given, and may go away without harm.
"""
