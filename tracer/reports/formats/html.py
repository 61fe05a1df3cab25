"""A page for a browser, in one file. `tracer/reports/html/` makes it."""

from __future__ import annotations

from typing import Final, TextIO

from tracer.reports.formats.format import Document, Format


def print_document(document: Document, file: TextIO) -> None:
    """Write the document's page."""
    from tracer.reports.html.page import render  # not for every command: jinja2 takes a while

    file.buffer.writelines(render(document))


FORMAT: Final = Format("html", "a page for a browser, in one file", print_document, kept=True)
