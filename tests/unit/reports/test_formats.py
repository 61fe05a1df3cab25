"""What every format has to do, those to come included."""

from __future__ import annotations

import io
from typing import get_args

import large_suite
import pytest
from rich.console import Console
from suites import RUN, classification, result

from tracer.classify.diff import compare
from tracer.classify.services.rules import Rules
from tracer.reports import blocks
from tracer.reports.blocks import Styled, Table
from tracer.reports.formats import FORMATS, Format, formats_for, markdown
from tracer.reports.formats.terminal import print_page
from tracer.reports.pages.diff import DiffDocument
from tracer.reports.pages.summary import SummaryDocument

TABLE = Table(("Name", "One", "Two"), (("a", "1", Styled("marked", "bad")),))
SAMPLES: dict[type, tuple[blocks.Block, list[str]]] = {  # block → what a reader has to see
    blocks.Headline: (
        blocks.Headline("all is well", (("one ", Styled("detail", "good")),)),
        ["svc-trace: all is well"],
    ),
    blocks.Heading: (blocks.Heading(("first ", Styled("heading", "warning"))), ["first heading"]),
    blocks.Line: (blocks.Line("a sentence"), ["a sentence"]),
    blocks.Notice: (blocks.Notice("look out", "Do it."), ["look out", "Do it."]),
    blocks.Table: (TABLE, ["Name", "One", "Two", "marked"]),
    blocks.Tables: (blocks.Tables((TABLE, Table((), (("alone", "text"),), "ll"))), ["marked", "alone", "text"]),
    blocks.Records: (
        blocks.Records(("Directory", "Tests", "Services"), (("tests", 1234, "kafka 7"),)),
        ["tests", "1,234", "kafka 7"],
    ),
    blocks.Names: (blocks.Names(("a.py::x", ("b.py::y", "remark"), "c.py::z"), 2), ["a.py::x", "remark", "and 1 more"]),
    blocks.Commands: (
        blocks.Commands(("Name", "Number", "How"), (("a", "1", "do 'it'"),), "lrl"),
        ["Name", "Number", "How", "a", "1", "do 'it'"],
    ),
    blocks.Code: (blocks.Code(("[table]", 'key = "value"')), ["[table]\n", 'key = "value"\n']),
}


@pytest.mark.parametrize("kind", [kind for kind in get_args(blocks.Block) if kind is not blocks.ReportPath])
def test_every_block_is_written_for_people(kind: type) -> None:
    block, expected = SAMPLES[kind]
    console = Console(file=io.StringIO(), width=80)
    print_page([block], console)
    assert isinstance(console.file, io.StringIO)
    for output in (console.file.getvalue(), "".join(markdown.render([block]))):
        assert not [text for text in expected if text not in output]
        assert "c.py::z" not in output, "names above the limit are only counted"


def test_the_reports_path_is_for_the_terminal() -> None:
    path = blocks.ReportPath("svc-trace.json")
    console = Console(file=io.StringIO(), width=80)
    print_page([path], console)
    assert isinstance(console.file, io.StringIO)
    assert console.file.getvalue() == "\nreport: svc-trace.json\n"
    assert "".join(markdown.render([path])) == ""


def test_the_formats_of_a_document() -> None:
    assert [form.name for form in formats_for(SummaryDocument)] == [
        "terminal",
        "markdown",
        "html",
        "json",
        "junit",
        "ctrf",
        "sentry",
        "sentry-tests",
    ]
    assert [form.name for form in formats_for(DiffDocument)] == [
        "terminal",
        "markdown",
        "html",
        "json",
        "github",
        "codequality",
    ]


@pytest.mark.parametrize("name", [form.name for form in formats_for(SummaryDocument)])
def test_every_format_prints_the_summary_of_any_suite(name: str) -> None:
    for one in (
        large_suite.classification(),
        classification({}, (), Rules()),
        classification({"a": result()}, (), Rules()),
    ):
        buffer = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
        FORMATS[name].print(SummaryDocument(one, (), 1), buffer)
        assert buffer.seek(0, io.SEEK_END) > 0


@pytest.mark.parametrize("form", [one for one in FORMATS.values() if one.document is object], ids=lambda one: one.name)
def test_formats_of_any_document_print_it(form: Format) -> None:
    one = classification({"a": result()}, (), Rules(), RUN)
    buffer = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    form.print(DiffDocument(compare(one, one)), buffer)
    buffer.seek(0)
    assert b"svc-trace" in buffer.buffer.read()
