"""The S3 client: HTTP transport, request signing, operations, listings, uploads and retries.

once a run   ``session`` finds the bucket: by ``plain_session`` and a ``blocking`` request where
             that suffices, else by ``boto_session``, with ``identity`` (credentials) and ``probe``
             (the first request, and what its failure means); ``endpoint`` holds its address, and
             the proxy; ``key_source`` says where credentials come from
requests     ``client`` has the operations, signed by ``sigv4``, sent by ``wire``; ``answers`` and
             ``timestamps`` parse what comes back, ``retry`` classifies errors, ``refused_head``
             finds the reason where there is none; ``congestion`` sets the request rate,
             ``limiter`` enforces it, ``prefixes`` finds those that a store limits by themselves;
             ``recovery`` is what attempts wait for
limits       those of the user: ``quotas`` hands out what a run may use a second, ``allowance`` is
             what one process does with it, and ``body_pace`` lets its bodies move piece by piece
the wire     an ``exchange`` is a request and its answer; it goes over kept ``connections`` to
             ``peers``, each of which is in ``http1``, with its ``sending`` half, the ``framing`` of
             answers, and ``receiving`` of large ones; through a proxy, it goes by ``curl``, driven
             by ``multi``
listings     ``list_requests`` adapts requests to the store, ``listing`` parses pages and checks
             that they follow each other; ``parallel_listing`` fetches many concurrently, from
             ranges of keys that ``splitting`` divides; ``levels`` lists one level of them, and
             ``bucket_list`` the buckets
             ``access_control`` reads and writes ACLs
deletions    ``deletes``: of up to 1,000 objects by one request, and of one
uploads      ``multipart`` lays out parts, and has the operations on uploads in parts;
             ``upload_listing`` lists the incomplete ones, and their parts
"""
