"""Verification: whether what was transferred is there; nothing is changed.

``verdicts`` has the rules. ``ends`` is the role that compares the two ends of a put, get or copy:
with ``file_and_object``, ``object_and_file`` and ``two_objects``, and ``certainty`` where an ETag
is another. ``verifier`` is the role that compares what a journal says with what is there, files
with ``recorded_files``, and objects by their ``object_evidence``, bytes
by ``digest_match``. ``reading`` reads the bytes of objects.
"""
