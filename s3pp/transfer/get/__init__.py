"""An object becomes a file: compared, fetched, verified, unpacked where asked, named.

``planner`` decides by names; ``getter`` brings one object to its end, a larger body through
``intake``, a packed one through ``unpack``; ``parted`` verifies what was sent in parts. Of large
objects: ``in_ranges`` leads, ``range`` fetches one, ``follower`` reads them in their order, to
verify the whole.
"""
