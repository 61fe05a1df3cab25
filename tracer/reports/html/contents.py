"""What fills a page: a template with its values, and data for the page's scripts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Contents:
    """The part of a page that differs from document to document."""

    title: str
    template: str  # a file of `templates/`, which extends `page.html.jinja`
    values: Mapping[str, Any]  # of the template's variables
    data: Mapping[str, Any] = field(default_factory=dict)  # name → value, packed into the page as JSON
