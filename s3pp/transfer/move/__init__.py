"""Moves: a role transfers each object, and what was verified is deleted where it came from.

``mover`` stands before the role; ``proofs`` find out what of the source may be deleted, under each
verb.
"""
