"""Deletion of a batch as a unit: ``objects`` of a bucket, or ``files`` below a directory.

What was seen of each is the condition: what was replaced since stays, and fails by name.
``second_look`` sees to that where a store may ignore conditions. ``source_look`` keeps what has
come back to the source of a mirror; ``deleter`` is what all share.
"""
