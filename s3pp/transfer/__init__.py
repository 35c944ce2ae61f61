"""Transfer of single objects, and the verification of the result.

::

    put/    uploads of files                   files/  names and files below DIRECTORY
    get/    downloads to files                 parts/  large objects in parts
    copy/   copies of objects

Each of the first three has a planner, which runs in the walker and turns records into tasks, and a
role (``Putter``, ``Getter``, ``Copier``), which runs in the workers and performs them. This
package has what they share:

deciding   ``modes``: whether to send, and why; ``known``: what the destination holds;
           ``condition``: mode ``add``'s promise, ``If-None-Match``
bodies     ``bodies`` and ``reading`` read them, ``spill`` holds on the disk what is made here or
           passes through; ``means`` is what a worker gives its role for that
clean      ``aborter``: an unfinished upload is aborted, which goes without planner and task
errors     ``refused``: what a refusal means for an object; ``ending``: how it becomes an outcome
"""
