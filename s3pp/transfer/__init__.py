"""One object's way: what is done with it, and how it is shown to be right.

::

    put/    a file becomes an object           files/  names and files below DIRECTORY
    get/    an object becomes a file           parts/  large objects in parts
    copy/   an object becomes another one

In each of the first three a planner, which runs in the walker and turns what was found into tasks,
and a role (``Putter``, ``Getter``, ``Copier``), which runs in the workers and brings a task to its
outcome. Here is what they share:

deciding   ``modes``: whether to send, and why; ``known``: what the destination holds;
           ``condition``: mode ``add``'s promise, ``If-None-Match``
bodies     ``bodies`` and ``reading`` read them, ``spill`` holds on the disk what is made here or
           passes through; ``means`` is what a worker gives its role for that
clean      ``aborter``: an unfinished upload is aborted, which goes without planner and task
errors     ``refused``: what a refusal means for an object; ``ending``: how it becomes an outcome
"""
