"""``s3pp doctor``: whether runs can work here, and why not.

::

    ``doctor`` ─┬─ ``examination`` ─┬─ ``machine``        versions, cores, limits
                │                   ├─ ``account``        where the credentials come from
                │                   ├─ ``network``        name, addresses, TLS, proxy
                │                   └─ ``store_checks``
                │                          ├─ ``facts``         what the bucket is set to
                │                          ├─ ``permissions``   what may be read and written
                │                          ├─ ``features``      what the store supports
                │                          └─ ``latency``       how fast it answers
                └─ ``cluster_checks``       what each Dask worker sees of that: there runs
                       │                    ``worker_program``, an examination without features
                       └─ ``worker_findings``     what of it is printed

A check returns a ``Finding`` (``findings``), which ``page`` prints. ``requests`` sends what the
checks ask, and says what a refusal means. Nothing of the user's is changed: ``probe_keys`` are the
only ones that are written, and are removed in any case.
"""
