"""The documentation lists every slug and every field of the report, and its links and paths exist."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import get_args

import pytest

from tracer.classify.model import (
    AssumptionCheck,
    Classification,
    ContractCheck,
    Evidence,
    Reason,
    RefusedService,
    RefusedUse,
    RunInfo,
    SetUp,
    Summary,
    TestResult,
    TestVerdict,
    Variants,
    Verdict,
    Verification,
    Why,
)
from tracer.classify.services.rules import Contract, Rules
from tracer.trace.records import StaticFacts

ROOT = Path(__file__).parents[2]
PAGES = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "tests/truth/README.md")),
    *sorted((ROOT / "docs").glob("*.md")),
]


def slugs_in_code() -> set[str]:
    """The slugs of all errors and warnings."""
    known = set(re.findall(r"\[([a-z-]+)\]\\n", (ROOT / "launcher" / "svc-trace.c").read_text()))
    for path in (ROOT / "tracer").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name):
                continue
            slugs = [keyword.value for keyword in node.keywords if keyword.arg == "slug"]
            if node.func.id == "RunWarning":
                slugs.append(node.args[0])
            elif node.func.id == "cannot_trace":  # errors.py: message, hint, slug
                slugs.append(node.args[2])
            known |= {str(value.value) for value in slugs if isinstance(value, ast.Constant)}
    return known


def test_every_slug_is_explained_and_no_other() -> None:
    explained = set(re.findall(r"^\| `([a-z-]+)` \|", (ROOT / "docs" / "messages.md").read_text(), re.MULTILINE))
    assert slugs_in_code() == explained


def anchors(page: Path) -> set[str]:
    """The anchors of a page: GitHub makes one of each heading."""
    text = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)  # a comment is no heading
    headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    text = page.read_text()
    pictures = [(path, "") for path in re.findall(r'<(?:img|source) [^>]*src(?:set)?="([^"]*)"', text)]
    for target, anchor in re.findall(r"\]\(([^)#:]*)(?:#([^)]*))?\)", text) + pictures:
        leads_to = page.parent / target if target else page
        assert leads_to.exists(), target
        assert not anchor or anchor in anchors(leads_to), f"{target}#{anchor}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_files_that_are_named_exist(page: Path) -> None:
    for path in re.findall(r"`((?:tracer|probes|launcher|tests|scripts|docs|examples)/[\w./-]*)[ `]", page.read_text()):
        assert "NAME" in path or (ROOT / path).exists(), path


def test_the_tests_of_the_security_page_exist() -> None:
    named = re.findall(r"`([a-z_/]+\.py)(?:::(\w+))?`", (ROOT / "docs" / "security.md").read_text())
    assert len(named) > 50
    for path, test in named:
        assert f"def {test}" in (ROOT / "tests" / path).read_text(), f"{path}::{test}"


def test_every_field_of_the_report_is_explained() -> None:
    page = (ROOT / "docs" / "report.md").read_text()
    records = (
        Classification,
        RefusedService,
        RefusedUse,
        RunInfo,
        StaticFacts,
        SetUp,
        Rules,
        Contract,
        TestResult,
        Evidence,
        Summary,
        AssumptionCheck,
        ContractCheck,
        Why,
        Variants,
    )
    for name in {name for record in records for name in record.__annotations__}:
        assert f"`{name}`" in page or f'"{name}"' in page, name


def test_every_field_of_the_verdicts_is_explained() -> None:
    page = (ROOT / "docs" / "verify.md").read_text()
    names = {name for record in (Verification, TestVerdict) for name in record.__annotations__}
    for name in names | {*get_args(Verdict), *get_args(Reason)}:
        assert f"`{name}`" in page or f'"{name}"' in page, name
