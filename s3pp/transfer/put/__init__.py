"""Uploads of files as objects: reading, comparing, content types, compression, sending.

``planner`` decides by names and listings; ``putter`` uploads one file. ``prepare`` turns it into
a body, using ``content`` (type, gzip or not) and ``compress``. For large files: ``in_parts``
runs the upload, ``part`` sends one part, ``given`` compares an object's headers with those of
this run.
"""
