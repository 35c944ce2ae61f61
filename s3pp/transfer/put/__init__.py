"""A file becomes an object: compared, read, typed, packed where asked, hashed, sent.

``planner`` decides by names and listings; ``putter`` brings one file to its end. ``prepare``
makes a body of it, by ``content`` (type, gzip or not) and ``compress``. Of large files:
``in_parts`` has them sent, ``part`` sends one part, ``given`` says whether an object has the
headers of this run.
"""
