from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import pytest
from suites import classification, evidence, facts, result

from tracer.classify.detailed_checks import check_in_detail
from tracer.classify.findings import BaselineComparison
from tracer.classify.services.rules import AssumptionRule, Rules
from tracer.reports import json_report
from tracer.reports.blocks import Block, Code
from tracer.reports.fixture_names import known_fixture
from tracer.reports.formats import markdown
from tracer.reports.pages import explain
from tracer.reports.pages.summary import SummaryDocument
from tracer.reports.pages.validate import ValidationDocument

SUITE = """
import unittest

def setUpModule(): pass
def setup_function(function): pass
def test_function(): pass

class TestPlain:
    def setup_class(cls): pass
    def setup_method(self): pass
    def test_method(self): pass

class Case(unittest.TestCase):
    @classmethod
    def setUpClass(cls): pass
    def setup_method(self, method): pass
    def test_case(self): pass
"""


def test_the_names_of_this_pytest(tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text(SUITE)
    pytest_ = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--setup-only", "--rootdir", str(tmp_path)]
    plan = subprocess.run(pytest_, cwd=tmp_path, capture_output=True, text=True, check=True).stdout
    names = re.findall(r"SETUP +\w (\w+_fixture_\S+)", plan)
    assert all(name.startswith("_") for name in names)
    assert {known_fixture(name) for name in names} == {
        "setup_module",
        "setup_function",
        "setup_class",
        "setup_method",
        "setUpClass",
    }


@pytest.mark.parametrize(
    ("name", "known"),
    [
        ("_unittest_setUpClass_fixture_CartTest", "setUpClass"),
        ("_unittest_setup_method_fixture_CartTest.Inner", "setup_method"),
        ("_xunit_setup_module_fixture_tests.shop.test_cart", "setup_module"),
        ("_xunit_setup_class_fixture_make.<locals>.TestCart", "setup_class"),
        ("_django_db_helper", "db"),
        ("_live_server_helper", "live_server"),
        ("db", "db"),
        ("_django_db_helper_of_mine", "_django_db_helper_of_mine"),
        ("my_unittest_setUpClass_fixture_X", "my_unittest_setUpClass_fixture_X"),
        (
            "autouse fixture _unittest_setUpClass_fixture_X (setup, teardown) and fixture _django_db_helper (setup)",
            "autouse fixture setUpClass (setup, teardown) and fixture db (setup)",
        ),
    ],
)
def test_names(name: str, known: str) -> None:
    assert known_fixture(name) == known


def test_every_page_shows_the_known_names_and_the_json_those_of_pytest() -> None:
    own = evidence(
        "redis", phase="setup", fixture="_unittest_setUpClass_fixture_T", via="fixture:_django_db_helper@t.py"
    )
    wide = evidence(
        "kafka", phase="setup", fixture="_django_db_helper", via="fixture:_unittest_setUpClass_fixture_T@t.py"
    )
    names = ["_django_db_helper", "_unittest_setUpClass_fixture_T", "pool"]
    one = classification(
        {"t.py::T::t": result(["kafka", "redis"], facts=0, evidence=[own, wide])},
        [facts("t.py", fixtures=names, autouse=names[:2])],
        Rules({"redis": AssumptionRule(markers=frozenset({"redis"}))}),
    )
    validation = ValidationDocument(one, check_in_detail(one), BaselineComparison((), 0, ()), None, False)
    pages: list[Iterable[Block]] = [SummaryDocument(one, ()).page(), validation.page(), explain.page(one, "t.py::T::t")]
    for page in pages:
        shown = "".join(markdown.render(block for block in page if not isinstance(block, Code))).replace("\\", "")
        assert re.search(r"fixture setUpClass\b", shown)
        assert re.search(r"fixture db\b", shown)
        assert "_unittest" not in shown
        assert "_django" not in shown
    assert "fixtures pool." in shown, "the fixtures that rules can name"
    written = b"".join(json_report.render(one)).decode()
    assert all(f'"{name}"' in written for name in names)
