"""The formats, each in a module. A new format is a module and its name in `FORMATS`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from tracer.reports.formats import (
    codequality,
    compose,
    ctrf,
    github,
    gitlab,
    html,
    json,
    junit,
    markdown,
    pytest_split,
    sentry,
    terminal,
)
from tracer.reports.formats.format import Document, Format

__all__ = ["FORMATS", "Document", "Format", "formats_for"]

FORMATS: Final[Mapping[str, Format]] = {
    form.name: form
    for form in (
        *(terminal.FORMAT, markdown.FORMAT, html.FORMAT, json.FORMAT, junit.FORMAT, ctrf.FORMAT),
        *(sentry.FORMAT, sentry.WITHOUT_SUMMARY),
        *(github.FORMAT, codequality.FORMAT, gitlab.FORMAT, compose.FORMAT, pytest_split.FORMAT),
    )
}
"""Name → format; the first is the default of every command."""


def formats_for(document: type) -> list[Format]:
    """The formats that can print a type of document."""
    return [form for form in FORMATS.values() if issubclass(document, form.document)]
