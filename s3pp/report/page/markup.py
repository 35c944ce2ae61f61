"""HTML of plain values: whatever is not ``Markup`` already is escaped."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from typing import NamedTuple

from s3pp.escaping import one_line


class Markup(str):
    """HTML that is complete as it is."""

    __slots__ = ()


Content = str | Markup | Iterable["Content"]


def html(content: Content) -> Markup:
    """Return ``content`` as HTML: text is escaped, control characters as in messages."""
    if isinstance(content, Markup):
        return content
    if isinstance(content, str):
        return Markup(escape(one_line(content)))
    return Markup("".join(map(html, content)))


def tag(name: str, content: Content = (), **attributes: str) -> Markup:
    """Return an element; of attributes, whose names end in ``_`` or have ``_`` for ``-``."""
    written = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{html(value)}"' for key, value in attributes.items()
    )
    return Markup(f"<{name}{written}>{html(content)}</{name}>")


class Column(NamedTuple):
    """A column of a table."""

    title: str
    is_number: bool = True


def table(caption: str, columns: Sequence[Column], rows: Iterable[Sequence[Content]]) -> Markup:
    """Return a table whose first column names its rows; it scrolls where it is too wide."""
    head = [
        tag("th", each.title, scope="col", **({"class_": "n"} if each.is_number else {}))
        for each in columns
    ]
    body = [tag("tr", _cells(columns, row)) for row in rows]
    inner = [tag("caption", caption), tag("thead", tag("tr", head)), tag("tbody", body)]
    # What scrolls has to be reached by the keyboard, and then has to have a name.
    return tag(
        "div", tag("table", inner), class_="wide", role="region", tabindex="0", aria_label=caption
    )


def _cells(columns: Sequence[Column], row: Sequence[Content]) -> list[Markup]:
    first, *others = row
    cells = [tag("th", first, scope="row")]
    for column, content in zip(columns[1:], others, strict=True):
        cells.append(tag("td", content, **({"class_": "n"} if column.is_number else {})))
    return cells


def facts(rows: Iterable[tuple[str, Content]]) -> Markup:
    """Return a list of terms and their values."""
    inner = [tag("div", [tag("dt", term), tag("dd", value)]) for term, value in rows]
    return tag("dl", inner)


def code(text: str) -> Markup:
    """Return text as it would be typed."""
    return tag("code", text)
