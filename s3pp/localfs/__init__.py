"""Names and files on this machine, below DIRECTORY. Nothing here sends a request.

``paths`` and ``name_conflicts`` decide which names can be files. All access to DIRECTORY goes
through ``tree``, by descriptors. ``temporary_file`` writes a file and renames it when it is
complete, ``allocation`` finds the space for a large one; ``partial_file`` is one that is written in
ranges, by ``range_file`` in any process, and that a later run can resume. ``locks`` keep concurrent
runs apart, and ``run_lock`` those of one job; ``user_directory`` is where runs of one user share
files. ``stale_files`` removes the temporary files of killed runs, and ``external_sort`` sorts any
number of records in constant memory. ``etag_cache`` keeps digests of files, which hold as long as
``file_state`` trusts it.
"""
