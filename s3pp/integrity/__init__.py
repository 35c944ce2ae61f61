"""What the store knows of an object, and whether it is the same as what is here.

``checksums`` is the table of the algorithms: how each is computed, and combined of parts.
``digests`` computes those that a request says of its body.
"""
