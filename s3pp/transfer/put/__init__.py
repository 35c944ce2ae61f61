"""Uploads of files as objects: reading, comparing, content types, compression, sending.

``putter`` uploads one file. ``prepare`` turns it into a body, and compares that with a stored
object; ``content`` finds its type, and compresses. Large files go in parts: see
``transfer/part_upload``.

``stream_upload`` uploads standard input, which ``input_stream`` reads ahead, and ``stream_parts``
sends in parts. ``noting`` is what a run with an ETag cache does beside.
"""
