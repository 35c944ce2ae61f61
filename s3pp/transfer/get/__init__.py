"""An object becomes a file: compared, fetched, verified, unpacked where asked, named.

``planner`` decides by names, ``existing_file`` by what stands in an object's place. ``getter``
downloads an object: a small one into memory, a larger one by ``file_download`` with one request
into a ``file_sink``, a large one by ``range_download``, whose ranges a ``range_fetcher`` in any
worker fetches, and an ``ordered_reader`` reads in order, to verify the whole.
"""
