"""The command line of ``s3pp``: arguments become a ``Job``, errors become exit codes.

``main`` chooses by the first word; ``config``, ``doctor``, ``report`` and ``sandbox`` run no job.
Paths that need no store (``--help``, ``--version``, argument errors) do not import the pipeline, to
be fast.
"""
