"""A page: one file with its style, its scripts and its data, which a browser shows without any network.

A policy in the page (CSP level 3) forbids every request and every script but the page's own, which it names by their
hashes. All text of the run is escaped by jinja2 or set by scripts as text, after `printable`: no control character, no
bidirectional override and no lone surrogate reaches a browser.
"""

from __future__ import annotations

import gzip
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from hashlib import sha256
from itertools import chain
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlencode

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from tracer import __version__
from tracer.reports.blocks import Headline, pieces, plain_text
from tracer.reports.formats.format import Document
from tracer.reports.html import diff, plan, report
from tracer.reports.html.contents import Contents
from tracer.reports.pages.diff import DiffDocument
from tracer.reports.pages.plan import PlanDocument
from tracer.reports.pages.summary import SummaryDocument
from tracer.reports.pages.validate import ValidationDocument
from tracer.reports.text import counted, duration, percent, printable
from tracer.trace.garbage import uncollected
from tracer.trace.json_codec import dump

PAGES: Final[Mapping[type, Callable[[Any], Contents]]] = {
    SummaryDocument: report.of_summary,
    ValidationDocument: report.of_validation,
    DiffDocument: diff.of_difference,
    PlanDocument: plan.of_plan,
}
"""The documents whose pages show more than their blocks."""

_HERE: Final = Path(__file__).parent
_SCRIPTS: Final = (
    "elements",
    "data",
    "state",
    "filters",
    "rows",
    "sorting",
    "matrix",
    "timeline",
    "test",
    "list",
    "diff",
    "page",
)
"""Files of `assets/`, in the order in which they run; together they are one function."""
_LEVEL: Final = 6
"""gzip's level: a page is written once and loaded often."""
_POLICY: Final = (
    "default-src 'none'; script-src 'sha256-{script}'; style-src 'sha256-{style}'; img-src data:; base-uri 'none'; "
    "form-action 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
)


def render(document: Document) -> Iterator[bytes]:
    """The page of a document as UTF-8, in parts."""
    with uncollected():  # the search for cycles among the many small values would take a quarter of the time
        contents = PAGES[type(document)](document) if type(document) in PAGES else of_blocks(document)
    style, script = _style(), _script()
    template = _environment().get_template(contents.template)
    values = {
        **contents.values,
        "title": contents.title,
        "version": __version__,
        "style": Markup(style),
        "script": Markup(script),
        "policy": _POLICY.format(script=_hash(script), style=_hash(style)),
        "data": {name: Markup(_packed(value)) for name, value in contents.data.items()},
    }
    yield from (part.encode("utf-8") for part in template.generate(values))


def of_blocks(document: Document) -> Contents:
    """A page of the document's blocks."""
    page = list(document.page())
    headlines = (plain_text(one.text) for one in page if isinstance(one, Headline))
    return Contents(next(headlines, "svc-trace"), "blocks.html.jinja", {"page": page, "known": frozenset(), "above": 1})


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(_HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_shown,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "pieces": pieces,
        "counted": counted,
        "duration": duration,
        "percent": percent,
        "kind": lambda block: type(block).__name__,
        "count": lambda number: f"{number:,}",
        "breakable": _breakable,
    }
    environment.globals |= {"link": _link, "newline": Markup("\n")}
    return environment


def _link(**values: str) -> str:
    """The address of a part of the page, as its scripts read it: `#service=kafka`."""
    shown = {name: printable(value) for name, value in values.items()}
    return f"#{urlencode(shown, safe='/:,[]()')}"


def _breakable(nodeid: str) -> Markup:
    """A node id that may be broken after each part of its path."""
    text = str(escape(printable(nodeid)))
    return Markup(text.replace("/", "/<wbr>").replace("::", "::<wbr>"))


def _shown(value: object) -> object:
    """What the template writes for a value: text as a browser may show it."""
    return printable(value) if isinstance(value, str) and not isinstance(value, Markup) else value


@cache
def _style() -> str:
    return (_HERE / "assets" / "page.css").read_text("utf-8")


@cache
def _script() -> str:
    files = (_HERE / "assets" / f"{name}.js" for name in _SCRIPTS)
    return "".join(chain(['"use strict";\n(() => {\n'], (file.read_text("utf-8") for file in files), ["})();\n"]))


def _hash(text: str) -> str:
    return b64encode(sha256(text.encode()).digest()).decode("ascii")


def _packed(value: Any) -> str:  # noqa: ANN401 -- any JSON
    return b64encode(gzip.compress(dump(value), _LEVEL, mtime=0)).decode("ascii")
