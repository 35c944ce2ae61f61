"""Relative names of files, where they are not given in the working directory."""

from __future__ import annotations

import os

from s3pp.job import STREAM
from s3pp.option import Value


def place_of(value: Value, text: str, directory: str) -> str:
    """Return the text of an option's value, in which a relative path begins in ``directory``.

    What is no path stays: a standard stream, an object, and a word such as that of ``FILE|auto``.
    """
    words = value.metavar.split("|")[1:]
    if value.reader != "path" or text in words or text == STREAM or "://" in text:
        return text
    return os.path.join(directory, text)
