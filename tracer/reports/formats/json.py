"""The document itself, for programs. docs/report.md explains its fields."""

from __future__ import annotations

from typing import Final, TextIO

from tracer.reports.formats.format import Document, Format


def print_document(document: Document, file: TextIO) -> None:
    """Write the document's JSON."""
    file.buffer.writelines(document.json())


FORMAT: Final = Format("json", "everything, for programs", print_document)
