"""Conversion of a command line to a ``Job``, shared by all front ends.

``parser`` wraps argparse; ``options`` adds the options declared on fields of ``Job``; ``values``
parses their values; ``building`` combines options and rejects contradictions; ``headers`` checks
which headers may be set. No argparse Namespace leaves this package.
"""
