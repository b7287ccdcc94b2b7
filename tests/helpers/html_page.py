"""A page as a browser and a screen reader see it, and what holds for every page."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

MAX_BYTES = 5_000_000
VOID = {"meta", "img", "link", "br", "path", "use"}


class Page(HTMLParser):
    """What a browser and a screen reader would look for."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.text, self.open_tags, self.headings = "", [], []
        self.ids: list[str] = []
        self.anchors: list[str] = []
        self.images: list[dict[str, str | None]] = []
        self.charts: list[dict[str, str | None]] = []
        self.source = path.read_text(encoding="utf-8")
        self.feed(self.source)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        if tag not in VOID:
            self.open_tags.append(tag)
        if re.fullmatch(r"h[1-6]", tag):
            self.headings.append(int(tag[1]))
        if "id" in values:
            self.ids.append(str(values["id"]))
        if tag == "a":
            self.anchors.append(str(values["href"]))
        if tag == "img":
            self.images.append(values)
        if tag == "svg":
            self.charts.append(values)

    def handle_endtag(self, tag: str) -> None:
        assert tag in VOID or self.open_tags.pop() == tag, tag

    def handle_data(self, data: str) -> None:
        self.text += data


def check_page(page: Page) -> None:
    """What holds for every page."""
    assert page.open_tags == []
    assert len(page.source.encode()) < MAX_BYTES
    assert "<script" not in page.source
    assert not re.findall(r"(?:src|href)=\"(?!data:|#)[^\"]*//", page.source)
    assert not re.findall(r"@import|url\((?!#)", page.source)
    assert all(image["alt"] and str(image["src"]).startswith("data:image/jpeg") for image in page.images)
    assert all(chart["aria-label"] and chart["role"] == "img" for chart in page.charts)
    assert page.headings[0] == 1
    assert page.headings.count(1) == 1
    assert all(low - high <= 1 for high, low in zip(page.headings, page.headings[1:], strict=False))
    assert len(set(page.ids) & {anchor[1:] for anchor in page.anchors}) >= 3
    assert {anchor[1:] for anchor in page.anchors if anchor.startswith("#")} <= set(page.ids)
    assert "None" not in page.text
    assert "nan" not in page.text.split()
