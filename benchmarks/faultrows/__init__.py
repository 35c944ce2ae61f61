"""The faults that tools are compared by, each a row: injected, run, and judged.

The rows are numbered as in docs/guarantees.rst: U for uploads, D for downloads, S for deletion.
"""
