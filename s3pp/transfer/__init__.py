"""Transfer of single objects, and the verification of the result.

::

    put/    uploads of files
    get/    downloads to files
    copy/   copies of objects
    delete/ deletions of objects and of files, in batches
    move/   transfers whose sources are deleted

The first three have a role (``Putter``, ``Getter``, ``Copier``), which runs in the workers and
performs tasks. This package has what they share:

deciding   ``planners`` and ``copy_planner``: turn records into tasks, in the walker;
           ``overlap``: of source and destination; ``several_origins``: of several places;
           ``chunks``: lists of consecutive steps;
           ``modes``: whether to send, and why; ``unchanged``: recognising what
           an update need not send, ``known_files`` by the ETag cache alone, and
           ``known_checksums`` by it and a HEAD; ``file_digests``: what the cache has of files;
           ``conditional_write``: mode ``add``'s promise,
           ``If-None-Match``
large      ``multipart_upload``: the upload of a file or an object in parts, from creation to
           completion; ``resume``: which unfinished upload is continued; ``parts``: running them,
           and their checksums; ``part_checksums``: which checksum they are sent with;
           ``part_upload``: those of a file; ``upload_support``: whether the store refuses uploads
           in parts, or the settings of a run
bodies     ``bodies`` reads them, and spools those compressed or relayed; ``resources`` are the
           threads, memory and other workers that a worker has for them
plans      ``applier``: executes the tasks of a plan, where both ends are as it saw them
grants     ``granter``: adds them to the ACL of each object that a role has written
journal    ``observed_role``: has a role's outcomes have what a journal records of objects
clean      ``aborter``: aborts an incomplete upload, which needs no task
headers    ``object_headers``: of a run, of copies, and those that a stored object has
errors     ``errors``: the failure for a refusal, and the outcome for an error
"""
