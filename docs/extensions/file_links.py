"""Links to files, ``page.rst`` and ``page.rst#section``, become links to pages.

A page or a section that does not exist is a warning, which fails a build with ``-W``.
"""

from __future__ import annotations

import posixpath
import re
from typing import Any

from contents import page_of
from docutils import nodes
from sphinx.util import logging

_FILE = re.compile(r"(?P<path>[\w./-]+)\.rst(?:#(?P<section>[\w-]+))?")
_log = logging.getLogger(__name__)


def target(page: str, path: str) -> str:
    """Return the page that ``path`` leads to, written on ``page``."""
    place = posixpath.normpath(posixpath.join(posixpath.dirname(page), path))
    return page_of(place)


def _on_resolved(app: Any, doctree: Any, page: str) -> None:
    for link in doctree.findall(nodes.reference):
        found = _FILE.fullmatch(link.get("refuri", ""))
        if found:
            link["refuri"] = _uri(app, page, found, link)
            link["internal"] = True


def _uri(app: Any, page: str, found: re.Match[str], link: Any) -> str:
    to, section = target(page, found["path"]), found["section"]
    if to not in app.env.found_docs:
        _log.warning("no such page: %s", found[0], location=link)
        return str(found[0])
    if section and section not in app.env.get_doctree(to).ids:
        _log.warning("no such section: %s", found[0], location=link)
    return str(app.builder.get_relative_uri(page, to)) + (f"#{section}" if section else "")


def setup(app: Any) -> dict[str, bool]:
    """Called by Sphinx."""
    app.connect("doctree-resolved", _on_resolved)
    return {"parallel_read_safe": True}
