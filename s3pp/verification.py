"""Options about what ``verify`` compares."""

from __future__ import annotations

from dataclasses import dataclass

from s3pp.option import option


@dataclass(frozen=True)
class Verification:
    """How thoroughly, and of what, ``verify`` makes sure."""

    deep: bool = option(
        False, "--deep", help="read the bytes: of what JOURNAL says, or of SOURCE and DEST"
    )
    one_way: bool = option(
        False, "--one-way", help="let DEST have what SOURCE does not have: it is not looked for"
    )
