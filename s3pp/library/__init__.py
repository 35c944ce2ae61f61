"""s3pp as a library: ``s3pp.put`` and the other functions, which the package has from here.

::

    put(…) ──keywords──▶ Job ──process──▶ child ──app.run──▶ supervisor, as for the command
      ▲                                     │
      └────── result ◀── runs, listing ◀────┘ records, one JSON text a line

``calls`` has the functions, ``options`` the types of their keywords (generated from the
declarations, see ``CONTRIBUTING.rst``), ``keywords`` what they mean. A run has a ``process`` of its
own, in which ``child`` is executed; what it says is chosen by one of the ``voices``. ``runs`` and
``listing`` read that, and return ``result``, or what it has of objects and errors.
"""
