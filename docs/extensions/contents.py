"""The pages that ``index.rst`` lists become the contents, which Sphinx shows beside each page.

Each section of the index is one part of them, under its title. The contents of a page itself are
beside it too: those in its text, which readers of the sources have, are left out.
"""

from __future__ import annotations

import re
from typing import Any

_SECTION = re.compile(r"^(?P<title>.+)\n(?P<line>=+)\n(?P<body>(?:(?!^.+\n=+\n).*\n)*)", re.M)
_LISTED = re.compile(r"<(?P<page>[\w/.-]+)\.rst>`__")
_LOCAL = re.compile(r"^\.\. contents::\n(?: +:.*\n)*", re.M)
_OUTSIDE = {"../CHANGELOG": "changes", "../CONTRIBUTING": "contributing"}


def with_contents(index: str) -> str:
    """Return the text of the index with a table of contents after each section."""
    return _SECTION.sub(lambda section: section[0] + _contents(section), index)


def without_local_contents(page: str) -> str:
    """Return the text of a page without its own table of contents, with as many lines."""
    return _LOCAL.sub(lambda found: "\n" * found[0].count("\n"), page)


def page_of(path: str) -> str:
    """Return the page that shows a file, which may lie outside this directory."""
    return _OUTSIDE.get(path, path)


def _contents(section: re.Match[str]) -> str:
    pages = [page_of(listed["page"]) for listed in _LISTED.finditer(section["body"])]
    if not pages:
        return ""
    head = f"\n.. toctree::\n   :hidden:\n   :caption: {section['title']}\n\n"
    return head + "".join(f"   {page}\n" for page in pages) + "\n"


def _on_source(_app: Any, page: str, source: list[str]) -> None:
    source[0] = without_local_contents(source[0])
    if page == "index":
        source[0] = with_contents(source[0])


def setup(app: Any) -> dict[str, bool]:
    """Called by Sphinx."""
    app.connect("source-read", _on_source)
    return {"parallel_read_safe": True}
