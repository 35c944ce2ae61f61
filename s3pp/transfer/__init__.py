"""One object's way: what is done with it, and how it is shown to be right.

::

    put/    a file becomes an object           files/  names and files below DIRECTORY
    get/    an object becomes a file           here    what all three share: modes, ETags, digests
    copy/   an object becomes another one

In each a planner, which runs in the walker and turns what was found into tasks, and a role
(``Putter``, ``Getter``, ``Copier``), which runs in the workers and brings a task to its outcome.
"""
