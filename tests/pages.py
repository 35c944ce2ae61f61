"""What a page of HTML has in it, and what a reader needs of it: checked without a browser."""

from __future__ import annotations

from html.parser import HTMLParser
from itertools import pairwise

VOID = {"meta"}  # elements without an end


class PageParser(HTMLParser):
    """Reads a page, and notes what breaks it."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.faults: list[str] = []
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.texts: list[tuple[str, str]] = []  # the element that it is in, and the text

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open.pop() != tag:
            self.faults.append(f"</{tag}> ends nothing")

    def handle_data(self, data: str) -> None:
        self.texts.append((self.open[-1] if self.open else "", data))

    @property
    def text(self) -> str:
        """All text of the body, with single blanks."""
        shown = (text for element, text in self.texts if element not in ("style", "title"))
        return " ".join(" ".join(shown).split())

    def values(self, tag: str) -> list[str]:
        """The texts directly in elements of one kind."""
        return [text for element, text in self.texts if element == tag]


def read_page(page: str) -> PageParser:
    """Read a page, and hold it against what every page has to be."""
    parser = PageParser()
    parser.feed(page)
    parser.close()
    assert not parser.open
    assert not parser.faults
    check_elements(parser)
    return parser


def check_elements(page: PageParser) -> None:
    """Nothing is loaded, nothing runs, and everything has its name."""
    elements = page.elements
    tags = [tag for tag, _ in elements]
    assert page.elements[0] == ("html", {"lang": "en"})
    assert not {"script", "link", "img", "iframe", "form", "object", "base"} & set(tags)
    for tag, attributes in elements:
        assert not any(name.startswith("on") for name in attributes), tag
        assert "src" not in attributes
        assert attributes.get("href", "#").startswith("#")
    ids = [attributes["id"] for _, attributes in elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    for _, attributes in elements:
        for name in ("aria-labelledby", "href"):
            assert set(attributes.get(name, "").replace("#", "").split()) <= set(ids)
    levels = [int(tag[1]) for tag in tags if tag in ("h1", "h2", "h3")]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))
    assert tags.count("table") == tags.count("caption")
    assert tags.count("svg") * 2 + 1 == tags.count("title") + tags.count("desc")
    assert all("scope" in attributes for tag, attributes in elements if tag == "th")
    policy = [each["content"] for tag, each in elements if "http-equiv" in each]
    assert policy
    assert policy[0].startswith("default-src 'none'")
