"""Workers on the machines of a Dask cluster: the same processes, behind pipes of a longer reach.

::

    supervisor ══pipes══ bridge ──RPC──▶ Dask worker ══pipes══ putter 1     on another machine
        │                  │             └───────────══pipes══ putter 2
        └─────control──────┘──RPC──▶ Dask worker ══pipes══ putter 3

What the supervisor and a worker say to each other are the messages of every run, and neither knows
what lies between: the ledger, the reports and the pace are those of one machine.

this end     ``crew`` gives each worker its place on a Dask worker, ``remote_child`` is what the
             supervisor holds of one; ``connection`` starts the bridge and refuses a cluster that
             does not fit, ``probe`` has the file by which its machines prove that they see a path
between      ``control`` is the channel to the bridge, which passes descriptors; ``bridge`` is its
             process, the only one with a Dask client, ``channel`` moves the bytes of one worker
other end    ``dask_worker`` is what runs within a Dask worker, ``remote_worker`` the process that
             it starts; ``descriptors`` reads and writes pipes on an event loop, and ``programs``
             starts processes, at both ends
"""
