"""The output of a run: its results are counted in ``totals`` and shown by views.

::

    outcomes ──▶ Recorder ──▶ Totals            the facts
                    ├──▶ View    stdout, stderr  text or JSON, by -v, -q, --json
                    ├──▶ RunRecords              what programs read, and a page
                    │       Journal   --journal  JSON lines, one per object
                    │       report    --report   a page of HTML, at the end
                    │       metrics   --metrics  counts for Prometheus, now and then
                    ├──▶ Log     --log-file      text, with time and level
                    └──▶ progress display        on a terminal

``recorder`` receives all results; ``failures`` groups failures by cause, and decides when one
ends the run; ``emptiness`` is about runs that find nothing. ``view`` selects the ``lines`` to
print; the summary in ``totals`` is the last. ``foreseen`` counts what a dry run would do,
``plan_writer`` writes its decisions to a plan. ``verdict_totals`` counts what a verify finds, and
``verify_lines`` names it. The keys of a list are printed by ``key_sheet``, whose lines
``list_views`` selects: ``grouped_lines`` of levels and of ``sums``; buckets by ``bucket_sheet``.
``run_records`` holds what a run leaves besides its output: ``run_events`` makes the events of the
journal, with
``object_facts``, and with the ``pace`` of the run; ``page/`` is the report, ``metrics`` the counts
for Prometheus, both written by ``replacing`` what was there before. ``merging`` joins the journals
of shards: what these are is in ``shard_runs``, and what is wrong with them in ``merge_rules``.
``journal`` writes the journal
and the log through ``appender``, as private files; ``own_files`` says where they must not be, and
creates them. ``progress`` is the progress display: ``forecast`` has its rates and the time left,
``progress_text`` its words, ``screen`` its place on a terminal; ``list_progress`` is a list's.
A ``voice`` replaces lines, for commands whose users parse those of a tool.

Nothing here opens a standard stream: streams are arguments, and may be closed early (``outlet``,
which also escapes text for terminals).
"""
