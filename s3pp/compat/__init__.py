"""The command lines of the tools that s3pp succeeds: one file for each command.

::

    argv, configuration files ──plan──▶ Plan: jobs, notices ──▶ app.run_plan ──▶ exit code
                                          └─ Job.output.voice ──▶ the lines its users parse

A front's ``plan`` is pure: it reads files, and changes nothing. What a front needs of the engine is
an option of s3pp too, so that nothing is done here twice. Exit codes are those of s3pp. ``main``
is what all fronts share.

``s3concurrent`` has both commands of s3concurrent, and ``s3concurrent_voice`` their lines;
``log_lines`` is what logs of that form have in common.

``s3copy`` has the lines of ``s3copy_voice``.

``s3clone`` has the command of that name, and its lines.

``s3_upload`` and ``s3_download``, of amazon-s3-resumable-upload, share ``resumable``, and the lines
of ``resumable_voice``. They read that tool's configuration files by ``resumable_config``, those in
Python by ``python_config``, as data.

``s3_parallel_put`` is the front of s3-parallel-put, with its lines in ``s3_parallel_put_voice``.
"""
