"""The command line: arguments become a ``Job``, errors become exit codes.

One module per command. The argparse Namespace ends here. What needs no store (``--help``,
``--version``, argument errors) imports nothing of the pipeline's, and answers at once.
"""
