"""Large objects in parts: where the parts lie, and what their digests say of the whole.

``lead`` brings an upload from its beginning to its end, for files and copies; ``own`` are those
that this run has begun. ``plan`` says how long parts are, ``moving`` keeps so many under way,
``resume`` finds the upload to continue, ``support`` tells a store that takes none. ``compound`` is
the ETag of parts, ``sums`` what an upload says of its checksums.
"""
