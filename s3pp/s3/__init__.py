"""The S3 client: HTTP transport, request signing, operations, listings, uploads and retries.

once a run   ``session`` finds the bucket, with ``identity`` (credentials), ``proxies`` and
             ``probe`` (the first request); ``endpoint`` holds its address
requests     ``client`` has the operations, signed by ``sigv4``, sent by ``wire`` and ``multi``
             (libcurl); ``answers`` parses what comes back, ``retry`` classifies errors;
             ``congestion`` sets the request rate, ``limiter`` enforces it
listings     ``list_requests`` adapts requests to the store, ``listing`` and ``contents`` parse
             pages, ``ranges`` fetches many concurrently, using ``splitting``, ``keyspace`` and
             ``start_after``
uploads      ``uploads`` does multipart uploads, with parts sized by ``part_plan``;
             ``upload_pages`` parses listings of incomplete ones, sorted as ``upload_order`` expects
"""
