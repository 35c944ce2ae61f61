"""The command line of ``s3pp``: arguments become a ``Job``, errors become exit codes.

``main`` chooses by the first word; ``completion``, ``config``, ``doctor``, ``merge``, ``report``
and ``sandbox`` run no job (``journal_arguments`` checks the journals that they name).
``command_lines`` has all that the parsers say, from which ``bash_script``, ``zsh_script``,
``fish_script`` and ``man_page`` are made. Paths that need no store (``--help``, ``--version``,
argument errors) do not import the pipeline, to be fast.
"""
