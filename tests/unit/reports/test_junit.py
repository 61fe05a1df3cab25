from __future__ import annotations

import io
from xml.etree import ElementTree

import hostile_suite
from annotated import printed
from msgspec.structs import replace
from suites import at_start, classification, result

from tracer.classify.model import Classification, TestResult
from tracer.classify.services.rules import Rules, Tier
from tracer.reports.pages.summary import SummaryDocument

RULES = Rules(tiers=(Tier("postgres_only", within=frozenset({"postgres"})), Tier("all")))
EXPECTED = """\
<?xml version="1.0" encoding="utf-8"?>
<testsuites name="pytest tests"><testsuite name="pytest" errors="1" failures="1" skipped="1" tests="5" time="1.500" \
timestamp="2026-11-20T21:45:00Z">
<testcase classname="tests.test_a" name="test_none" time="0.250"><properties><property name="services" value="" />\
<property name="needs" value="postgres" /><property name="tier" value="postgres_only" /></properties></testcase>
<testcase classname="tests.test_a.TestOne.TestTwo" name="test_both[a::b-[c]]" time="0.250"><properties>\
<property name="services" value="kafka, postgres" /><property name="needs" value="kafka, postgres, redis" />\
<property name="tier" value="all" /></properties><failure message="failed" /></testcase>
<testcase classname="tests.test_a" name="test_skipped" time="0.250"><properties><property name="services" value="" />\
<property name="needs" value="kafka, postgres" /><property name="tier" value="postgres_only" /></properties>\
<skipped message="skipped" /></testcase>
<testcase classname="tests.test_a" name="test_cut" time="0.250"><properties><property name="services" value="" />\
<property name="needs" value="(any)" /><property name="tier" value="postgres_only" /></properties>\
<error message="crashed" /></testcase>
<testcase classname="" name="README.md" time="0.250"><properties><property name="services" value="" />\
<property name="needs" value="postgres" /><property name="tier" value="postgres_only" /></properties></testcase>
</testsuite></testsuites>
"""


def suite() -> Classification:
    tests = {
        "tests/test_a.py::test_none": result(),
        "tests/test_a.py::TestOne::TestTwo::test_both[a::b-[c]]": result(
            ["kafka", "postgres"], ambient=["redis"], outcome="failed"
        ),
        "tests/test_a.py::test_skipped": result(assumed=["kafka"], outcome="skipped"),
        "tests/test_a.py::test_cut": result(outcome="crashed"),
        "README.md": result(),
    }
    return classification(tests, (), RULES, run_evidence=(at_start("postgres"),))


def as_junit(one: Classification) -> str:
    return printed(SummaryDocument(one), "junit")


def one_test(nodeid: str, test: TestResult | None = None) -> ElementTree.Element:
    document = as_junit(classification({nodeid: test or result()}, (), Rules()))
    (case,) = ElementTree.parse(io.StringIO(document)).iter("testcase")
    return case


def test_each_test_has_its_services_needs_and_tier() -> None:
    assert as_junit(suite()) == EXPECTED


def test_without_tiers_there_is_none() -> None:
    assert [one.attrib["name"] for one in one_test("a.py::b").iter("property")] == ["services", "needs"]


def test_characters_that_xml_cannot_contain_are_shown_as_pytest_shows_them() -> None:
    case = one_test("a\x01.py::test[\x1b\x7f\t\n\ud800\udc80\ufffe😀é<&\"']", result(["x\0"]))
    assert case.attrib["classname"] == "a#x01"
    assert case.attrib["name"] == "test[#x1B#x7F\t\n#xD800#xDC80#xFFFE😀é<&\"']"
    assert [one.attrib["value"] for one in case.iter("property")] == ["x#x00", "x#x00"]


def test_hostile_text_is_a_value() -> None:
    one = hostile_suite.hostile()
    one = replace(one, run=replace(one.run, started_at=hostile_suite.HOSTILE[0]))
    root = ElementTree.parse(io.StringIO(as_junit(one))).getroot()
    assert {element.tag for element in root.iter()} == {"testsuites", "testsuite", "testcase", "properties", "property"}
    assert len(list(root.iter("testcase"))) == len(one.tests)
