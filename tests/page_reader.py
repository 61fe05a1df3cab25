"""Reads pages that the format `html` writes: their elements, and the data for their scripts."""

from __future__ import annotations

import base64
import gzip
import io
import json
from html.parser import HTMLParser
from typing import Any

from tracer.reports.formats import FORMATS, Document


def html_of(document: Document) -> str:
    """A document's page."""
    buffer = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    FORMATS["html"].print(document, buffer)
    buffer.seek(0)
    raw = buffer.buffer.read()
    return raw.decode("utf-8")


class PageReader(HTMLParser):
    """The elements and the text of a page.

    Attributes:
        elements: tags with their attributes.
        text: all text outside of scripts and styles.
        raw: the content of each script and style, by tag and id.
    """

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.raw: dict[tuple[str, str | None], str] = {}
        self._within: tuple[str, str | None] | None = None
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag in ("script", "style"):
            self._within = (tag, dict(attrs).get("id"))
            self.raw[self._within] = ""

    def handle_endtag(self, tag: str) -> None:
        if tag in ("script", "style"):
            self._within = None

    def handle_data(self, data: str) -> None:
        if self._within is None:
            self.text += data
        else:
            self.raw[self._within] += data

    def data(self, name: str) -> Any:  # noqa: ANN401 -- any JSON
        """A document of the page's data."""
        return json.loads(gzip.decompress(base64.b64decode(self.raw["script", f"data-{name}"])))
