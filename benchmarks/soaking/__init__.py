"""The parts of the soak: one cycle after another, each different, and each held to every promise.

::

    seed, number ─▶ cycle ─▶ contents      what the source has, and the destination
                         ├─▶ faults        a proxy that fails a tenth of the requests
                         ├─▶ disturbances  kills, stops, signals, full disks, moved files
                         └─▶ checks        store, tree, journal, exit code and summary
"""
