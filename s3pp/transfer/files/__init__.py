"""Names and files below DIRECTORY: which names can be files, and files that are only seen whole.

``paths`` and ``clashes`` say which keys can be files, ``times`` which time they get. Whatever
touches DIRECTORY goes through ``tree``; ``ground`` makes DIRECTORY itself. ``landing`` writes a
file and gives it its name, ``partial`` with its ``record`` one that arrives in ranges and
outlives the run; ``room`` takes the disk space, ``locks`` keep two runs apart, ``unpack`` undoes
gzip, ``leftovers`` removes what killed runs left.
"""
