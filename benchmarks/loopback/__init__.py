"""A loopback S3-shaped peer, cheap enough that the client and not the store is what is measured.

::

    socket ──▶ connection ──Request, Received──▶ operations ──Answer──▶ connection ──▶ socket
               (framing)                         (objects, buckets, uploads)
                                                        │
                                                      store (version, preload, listing)
"""
