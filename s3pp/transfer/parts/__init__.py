"""Uploads of large objects in parts, whether of files or of objects.

``lead`` brings an upload from its beginning to its end, for files and copies; ``own`` are those
that this run has begun. ``moving`` keeps so many under way, ``resume`` finds the upload to
continue, ``support`` recognizes a store that takes none, ``sums`` is what an upload says of its
checksums.
"""
