"""Uploads of files as objects: reading, comparing, content types, compression, sending.

``planner`` decides by names and listings; ``putter`` uploads one file. ``prepare`` turns it into
a body, using ``content`` (type, gzip or not) and ``compress``. Large files go in parts: see
``transfer/part_upload``.
"""
