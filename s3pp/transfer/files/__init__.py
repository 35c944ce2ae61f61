"""Names and files below DIRECTORY: checks of names, and atomic writing of files.

``paths`` and ``clashes`` decide which keys can be files, ``times`` converts their times. All
access to DIRECTORY goes through ``tree``; ``ground`` creates DIRECTORY itself. ``landing`` writes
a file and renames it, ``partial`` with its ``record`` one that is written in ranges and can be
resumed; ``room`` allocates disk space, ``locks`` keep concurrent runs apart, ``unpack``
decompresses gzip, ``leftovers`` removes temporary files of killed runs.
"""
