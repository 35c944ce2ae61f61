"""``s3pp doctor``: whether runs can work here, and why not.

::

    ``examination`` ─┬─ ``machine``                 versions, cores, limits
                     ├─ ``account``                 where the credentials come from
                     ├─ ``network``                 name, addresses, TLS, proxy
                     └─ ``store_checks`` ─┬─ ``facts``         what the bucket is set to
                                          ├─ ``permissions``   what may be read and written
                                          ├─ ``features``      what the store supports
                                          └─ ``latency``       how fast it answers

A check returns a ``Finding`` (``findings``), which ``page`` prints. ``requests`` sends what the
checks ask, and says what a refusal means. Nothing of the user's is changed: ``probe_keys`` are the
only ones that are written, and are removed in any case.
"""
