"""Deletion of a batch as a unit: ``objects`` of a bucket, or ``files`` below a directory.

What was seen of each is the condition: what was replaced since stays, and fails by name.
``second_look`` sees to that where a store may ignore conditions; ``deleter`` is what all share.
"""
