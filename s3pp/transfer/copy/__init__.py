"""Copies of objects: by the store itself, or through this machine.

``copier`` copies one object in one of the ``ways``, with its state in ``copy_attempt``.
``by_store`` has the store copy, whole or in parts; ``through`` and ``parts_through`` copy through
this machine. For large objects ``part_layout`` chooses the parts, and ``multipart_copy`` verifies
them.
"""
