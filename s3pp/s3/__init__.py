"""S3 itself: the wire, its signatures, what is asked of a store, and when to ask again.

once a run   ``session`` finds the bucket, by ``identity`` (credentials), ``proxies`` and ``probe``
             (the first request); ``endpoint`` is where it is
requests     ``operations``, signed by ``sigv4``, over ``wire`` and ``multi`` (libcurl); ``retry``
             says what an error means, ``causes`` and ``refused_head`` why there was no answer, or
             none with a reason; ``congestion`` says how many a second, ``limiter`` holds them to it
listings     ``list_requests`` asks each store in the way it knows, ``listing`` and ``contents``
             read pages, ``ranges`` reads many side by side, by ``splitting``, ``keyspace`` and
             ``start_after``
uploads      ``uploads`` of parts, as long as ``part_plan`` says; ``upload_pages`` lists the
             unfinished, in ``upload_order``
values       ``etag``, ``moments`` (times), ``sizes`` and ``codings``, as stores write them
"""
