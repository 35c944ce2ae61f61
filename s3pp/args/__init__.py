"""Conversion of a command line to a ``Job``, shared by all front ends.

``verbs`` is the table of verbs and their options, ``arguments`` reads what else they are given;
``configured`` adds the options of files and variables: ``configuration`` finds these, ``trust``
says whether a file may be read, ``defaults`` reads it, by ``option_names`` and ``default_values``,
and ``precedence`` says which hold beside a command line. ``parser`` wraps argparse, and adds the
options declared on fields of ``Job``; ``values`` parses their values, ``shards`` that of
``--shard``, ``clusters`` that of ``--dask``, ``delimiters`` those of ``--delimiter``, and
``timetables`` limits that change with the time of day; ``building`` combines options and rejects
contradictions, with ``headers`` and ``selection``. ``object_rules`` reads the file of ``--rules``;
``toml_document`` is such a file, and ``toml_lines`` finds lines in it;
``file_names`` places relative names. ``invocation`` spells options anew, for the journal, and
``retrying`` reads them from there; ``examples`` end the help texts, and ``suggestions`` are for
what does not exist. No argparse Namespace leaves this package.
"""
