"""The format `html`, as far as it can be checked without a browser; tests/browser has the rest."""

from __future__ import annotations

import base64
import hashlib
import re
from typing import get_args

import large_suite
import pytest
from hostile_suite import hostile
from msgspec.structs import replace
from page_reader import PageReader, html_of
from suites import at_start, classification, evidence, facts, result, verdict, verification

from tracer.classify.detailed_checks import check_in_detail
from tracer.classify.diff import compare
from tracer.classify.findings import Finding, compare_with_baseline, find
from tracer.classify.merge import merge
from tracer.classify.model import Classification
from tracer.classify.services.rules import AssumptionRule, Rules, Tier
from tracer.reports import blocks
from tracer.reports.html import glance
from tracer.reports.html import page as html_page
from tracer.reports.html.tests_data import details, index
from tracer.reports.pages import explain
from tracer.reports.pages.diff import DiffDocument
from tracer.reports.pages.summary import SummaryDocument
from tracer.reports.pages.validate import ValidationDocument
from tracer.reports.pages.verify import VerifyDocument

BIDI = re.compile("[\u200e\u200f\u202a-\u202e\u2066-\u2069]")
RULES = Rules({"postgres": AssumptionRule(fixtures=frozenset({"db"}))})


def page(one: Classification) -> PageReader:
    return PageReader(html_of(SummaryDocument(one)))


def test_a_page_needs_nothing_else() -> None:
    reader = page(large_suite.classification())
    for tag, attributes in reader.elements:
        assert tag not in ("img", "iframe", "object", "embed", "base"), tag
        assert "src" not in attributes
        assert not [name for name in attributes if name.startswith("on") or name == "style"], attributes
        if tag == "link":
            assert attributes == {"rel": "icon", "href": "data:,"}
        elif "href" in attributes:
            assert str(attributes["href"]).startswith("#")
    assert "url(" not in reader.raw["style", None]
    assert "import" not in re.sub("//.*", "", reader.raw["script", None])


def test_a_tier_counts_what_the_session_needs() -> None:
    """The tests of a tier, their time and their list agree: a service without which no session begins counts in all."""
    rules = Rules(tiers=(Tier("small", within=frozenset({"postgres"})), Tier("rest")))
    tests = {"a.py::x": result(["postgres"]), "a.py::y": result()}
    one = classification(tests, (), rules, run_evidence=(at_start("kafka"),))
    rows = {row.name: (row.tests, row.seconds) for row in glance.tier_rows(one)}
    assert rows == {"small": (0, 0.0), "rest": (2, 0.5)}
    data = index(one, {})
    assert [data["tiers"][number] for number in data["tests"]["tier"]] == ["rest", "rest"]


def test_the_policy_allows_the_pages_own_script_and_style_only() -> None:
    reader = page(large_suite.classification())
    (policy,) = (one["content"] for _, one in reader.elements if one.get("http-equiv") == "Content-Security-Policy")
    assert policy is not None
    for tag in ("script", "style"):
        digest = base64.b64encode(hashlib.sha256(reader.raw[tag, None].encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}';" in policy
    assert policy.startswith("default-src 'none';")
    assert "unsafe" not in policy


def test_hostile_text_is_only_text() -> None:
    reader = page(hostile())
    assert "img" not in {tag for tag, _ in reader.elements}
    assert sum(tag == "script" for tag, _ in reader.elements) == 3
    for _, attributes in reader.elements:
        assert not [name for name in attributes if name.startswith("on")]
        assert "javascript:" not in str(attributes.get("href", "")).split("#")[0]
    assert "49" not in reader.text.replace("2026", "")
    assert "<img src=x onerror=alert(1)>" in reader.text
    everything = html_of(SummaryDocument(hostile())) + str(reader.data("index")) + str(reader.data("details"))
    assert not BIDI.search(everything)
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f\ud800-\udfff]", everything)
    assert "\\u202egnp.exe" in reader.text


def test_a_page_lists_each_test_of_a_merged_report() -> None:
    one = large_suite.classification()
    other = replace(one, run=replace(one.run, started_at="2026-11-21T21:45:00Z"))
    merged = merge([one, other])
    reader = page(merged)
    assert len(reader.data("index")["tests"]["name"]) == len(merged.tests)
    assert reader.data("details")["runs"][0] == [[0, "passed"], [1, "passed"]]
    assert "Merged runs" in reader.text


def test_the_data_says_of_each_test_what_the_report_says() -> None:
    one = large_suite.classification()
    columns = index(one, {"blind-spots": {"kafka": [*one.tests][:2]}})
    for number, (nodeid, test) in enumerate(one.tests.items()):
        of = {name: values[number] for name, values in columns["tests"].items()}
        assert f"{columns['files'][of['file']]}::{of['name']}" == nodeid
        assert columns["outcomes"][of["outcome"]] == test.outcome
        for column, services in (("uses", test.services), ("ambient", test.ambient), ("own", test.self_hosted)):
            assert [columns["services"][service] for service in columns["sets"][of[column]]] == [*services]
    assert columns["findings"] == {"blind-spots": {"kafka": [0, 1]}}


def test_the_data_has_the_words_of_explain() -> None:
    one = large_suite.classification()
    told = details(one)
    for number, nodeid in list(enumerate(one.tests))[:200]:
        lines = [told["texts"][line] for line in told["lines"][number]]
        evidence = told["evidence"][number]
        for kind, time in zip(evidence[::2], evidence[1::2], strict=True):
            _, title, before, after = (told["kindTexts"][text] for text in told["kinds"][kind][:4])
            lines += [title, f"{before}{'' if time < 0 else f'{time / 1e6:.3f}'}{after}"]
        expected = []
        for block in explain.page(one, nodeid):
            match block:
                case blocks.Line(text):
                    expected.append("".join(piece.text for piece in blocks.pieces(text)))
                case blocks.Names(names):
                    expected += [str(name) for name in names]
                case blocks.Heading(heading):
                    expected.append(str(heading))
        assert {*lines} == {*expected[1:]}


def test_findings_that_the_baseline_accepts_are_not_shown() -> None:
    one = classification({"tests/a.py::a": result(["postgres"], facts=0, evidence=[evidence("postgres")])},
                         [facts("tests/a.py")], RULES)  # fmt: skip
    for accepted, shown in ((), True), ((Finding("blind-spots", "postgres", "tests/a.py::a"),), False):
        baseline = compare_with_baseline(find(one), accepted, ["blind-spots"])
        document = ValidationDocument(one, check_in_detail(one, accepted), baseline, "pyproject.toml", True)
        reader = PageReader(html_of(document))
        assert ("postgres: 1 blind spot" in reader.text) == shown
        assert ("[tool.svc-trace.assumptions.postgres]" in reader.text) == shown
        assert ("no blind spots" in reader.text) != shown


def test_verdicts_of_trials_are_shown() -> None:
    tests = {"tests/a.py::a": verdict("needs", "postgres"), "tests/a.py::b": verdict("tolerates", "postgres")}
    one = classification({nodeid: result(["postgres"], facts=0) for nodeid in tests}, [facts("tests/a.py")], RULES)
    reader = page(replace(one, verified=(verification(tests, "postgres"),)))
    trial = reader.data("index")["trials"]
    assert trial == [{"without": "postgres", "verdict": [0, 1]}]
    assert "Need postgres: 1 test" in reader.text


@pytest.mark.parametrize("block", get_args(blocks.Block), ids=lambda block: str(block.__name__))
def test_every_block_is_drawn(block: type) -> None:
    template = html_page._environment().get_template("draw.html.jinja")
    module = template.make_module({"known": frozenset(), "above": 1})
    assert block.__name__ in module.macros  # type: ignore[attr-defined]


def test_other_documents_are_drawn_by_their_blocks() -> None:
    tests = {"tests/a.py::a<b>": verdict("needs", "postgres")}
    reader = PageReader(html_of(VerifyDocument(verification(tests, "postgres"))))
    assert "1 of 1 test needs postgres" in reader.text
    assert "tests/a.py::a<b>" in reader.text
    assert ("h1", {}) in reader.elements


def test_a_difference() -> None:
    both = {"a.py::skipped": result(["redis"])}
    old = classification({"a.py::a": result(["postgres"]), "a.py::gone": result(), **both}, (), Rules())
    both = {"a.py::skipped": result(outcome="skipped")}
    new = classification({"a.py::a": result(["kafka"]), "a.py::new": result(["kafka"]), **both}, (), Rules())
    reader = PageReader(html_of(DiffDocument(compare(old, new))))
    data = reader.data("diff")
    names = data["services"]
    rows = {row[0]: (data["kinds"][row[1]], [names[n] for n in row[2]], [names[n] for n in row[3]])
            for row in data["rows"]}  # fmt: skip
    assert rows == {
        "a.py::a": ("other services", ["postgres"], ["kafka"]),
        "a.py::new": ("new", [], ["kafka"]),
        "a.py::gone": ("gone", [], []),
        "a.py::skipped": ("skipped", ["redis"], []),
    }
