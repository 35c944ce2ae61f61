"""A thousand workers in virtual time, under s3pp's own congestion control: see ``scale.py``.

::

    store    partitions of the keys, each of which takes so many requests a second
    fleet    runs, and their workers on machines: the classes of s3pp, over a wire that only waits
    figures  what came of it: goodput, refusals, convergence, fairness
"""
