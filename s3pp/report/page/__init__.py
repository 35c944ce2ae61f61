"""The report of a run: one page of HTML that needs nothing but itself.

::

    RunEvents of a run ─┐
    journals ──▶ find ──┴▶ RunAggregate ──▶ sections ──▶ render ──▶ FILE.html

``aggregate`` holds what is known of a run in memory of a fixed size: ``timeline`` over time,
``histogram`` by magnitude, and the slowest and some of the failed objects. ``journals`` finds runs
in journals and reads them. ``sections`` and ``comparison`` make the parts of the page of them, with
``charts`` in SVG, ``advice`` on failures, and ``figures`` as users read them; ``markup`` escapes
everything, as names of objects may be hostile. ``render`` puts the parts together, with ``style``;
``writer`` is the file of ``--report``.

There is no script in the page, and nothing is loaded by it.
"""
