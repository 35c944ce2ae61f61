"""What the store knows of an object, and whether it equals a local body or another object.

``checksums`` is the table of the algorithms: how each is computed, and combined from parts;
``checksum_choice`` decides which one a body is sent with.
``etag`` decides what an ETag proves, of an object sent whole or in parts (how a tag is parsed is in
``s3/answers``, since listings need it). ``stored_object`` requests what the store knows, when it is
needed, and decides what a refusal means; ``compare`` compares it with a body. ``verifiers``
verifies bodies that were fetched, whole or in ranges.
"""
