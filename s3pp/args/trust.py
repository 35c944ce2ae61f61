"""Whether a file that the user has not named may decide what a command does.

A run begins in a directory that others may write to, such as /tmp: with a file of theirs they would
choose where the user's data goes, and what is deleted. It is refused rather than ignored, because
without a file of the user's own, a filter for example, more would be deleted than is meant.
"""

from __future__ import annotations

import os
import stat

_REMEDY = "name it by --config if its options are meant, or ignore it by --no-config"


def distrust(path: str, opened: os.stat_result) -> str | None:
    """Return why the file at ``path``, which is open, is not trusted; None if it is."""
    if not stat.S_ISREG(opened.st_mode):
        return f"is not a regular file: {_REMEDY}"
    link = os.lstat(path)
    trusted = (0, os.geteuid())
    for owner, what in ((opened.st_uid, "belongs"), (link.st_uid, "is a link that belongs")):
        if owner not in trusted:
            return f"{what} to another user (uid {owner}): {_REMEDY}"
    if opened.st_mode & stat.S_IWOTH:
        return "can be written by every user: use chmod o-w, or --no-config"
    if opened.st_mode & stat.S_IWGRP and not _is_private(opened):
        return f"can be written by others of its group (gid {opened.st_gid}): use chmod g-w"
    return None


def _is_private(opened: os.stat_result) -> bool:
    """Whether the group of a file is the owner's own, as many systems give to each user."""
    import grp  # rarely needed
    import pwd

    try:
        group, owner = grp.getgrgid(opened.st_gid), pwd.getpwuid(opened.st_uid)
    except KeyError:
        return False
    return group.gr_name == owner.pw_name and set(group.gr_mem) <= {owner.pw_name}
