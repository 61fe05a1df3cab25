"""The document itself, for programs. docs/report.md explains its fields."""

from __future__ import annotations

from typing import Final

from tracer.reports.formats.format import Format

FORMAT: Final = Format(
    "json", "everything, for programs", lambda document, file: file.buffer.writelines(document.json())
)
