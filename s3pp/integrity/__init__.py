"""What the store knows of an object, and whether it is the same as what is here.

``checksums`` is the table of the algorithms: how each is computed, and combined of parts.
``digests`` computes those that a request says of its body. ``etag`` says what an ETag proves,
``multipart_etag`` what that of an object in parts does (how a tag is read off an answer is in
``s3/answers``, as listings need it). ``stored_object`` is what the store knows, asked where it is
needed, and what becomes of a refusal; ``compare`` holds it against what is here. ``received``
verifies a body that came whole, ``verifiers`` one that comes in ranges; ``acknowledged`` what was
sent, where the answer does not show it.
"""
