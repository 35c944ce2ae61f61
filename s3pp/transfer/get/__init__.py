"""An object becomes a file: compared, fetched, verified, unpacked where asked, named.

``existing_file`` decides by what exists in an object's place, and ``file_facts`` reads what that
shows by itself. ``getter`` downloads an object: a small one into memory, a larger one by
``file_download`` with one request, a large one by ``range_download``, whose ranges a
``range_fetcher`` in any worker fetches. ``unpacking`` is bounded.

``noting`` is what a run with an ETag cache does beside.

``stream_download`` writes one object to standard output, a large one by ``stream_ranges``.
"""
