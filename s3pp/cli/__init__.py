"""The command line of ``s3pp``: arguments become a ``Job``, errors become exit codes.

``main`` looks at the first word; ``verbs`` is the table of what each verb takes; ``sandbox`` is
the one command that runs no job. What needs no store (``--help``, ``--version``, argument
errors) imports nothing of the pipeline's, and answers at once.
"""
