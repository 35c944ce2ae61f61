"""Transfer of single objects, and the verification of the result.

::

    put/    uploads of files
    get/    downloads to files
    copy/   copies of objects
    parts/  large objects in parts

Each of the first three has a planner, which runs in the walker and turns records into tasks, and a
role (``Putter``, ``Getter``, ``Copier``), which runs in the workers and performs them. This
package has what they share:

deciding   ``modes``: whether to send, and why; ``known``: what the destination holds;
           ``condition``: mode ``add``'s promise, ``If-None-Match``
bodies     ``bodies`` and ``reading`` read them, ``spill`` stores compressed or relayed ones on
           disk; ``means`` are the resources that a worker shares with its role
clean      ``aborter``: aborts an incomplete upload, without planner and task
errors     ``refused``: the failure for a refusal; ``ending``: the outcome for an error
"""
