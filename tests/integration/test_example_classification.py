"""The whole road on real services: the example suite's classification is the expected table, test by test."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from tracer.record.capture.backends import BACKENDS

ROOT = Path(__file__).parents[2]
SHOP = ROOT / "examples" / "shop"
EXPECTED = tomllib.loads((SHOP / "expected.toml").read_text())
CERTAIN = ("phase", "fixture", "thread", "strength", "errno")

Json = dict[str, Any]


def traced(services: dict[str, str], report: Path, *arguments: str, backend: str = "auto") -> Json:
    suite = (sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments)
    subprocess.run(
        [sys.executable, "-m", "tracer", "--backend", backend, "-o", report, "--", *suite],
        cwd=SHOP,
        env=os.environ | services,
        check=True,
        capture_output=True,
    )
    classification: Json = json.loads(report.read_text())
    return classification


def essence(evidence: Iterable[Json]) -> set[tuple[str, str, str | None]]:
    return {(one["service"], one["how"], one.get("via")) for one in evidence if not one.get("self_hosted")}


def differences(classification: Json) -> list[str]:
    """Everything in which a classification is not the expected one."""
    tests = classification["tests"]
    wrong = [f"{name}: unexpected or missing" for name in tests.keys() ^ EXPECTED["tests"].keys()]
    for name in tests.keys() & EXPECTED["tests"].keys():
        test, expected = tests[name], EXPECTED["tests"][name]
        for key, default in (("outcome", "passed"), ("services", []), ("self_hosted", []), ("assumed", [])):
            if test[key] != expected.get(key, default):
                wrong.append(f"{name}: {key} is {test[key]}, not {expected.get(key, default)}")
        if test["ambient"]:
            wrong.append(f"{name}: ambient {test['ambient']}")
        evidence = expected.get("evidence", [])
        required = [one for one in evidence if not one.get("optional")]
        if not essence(required) <= essence(test["evidence"]) <= essence(evidence):
            wrong.append(f"{name}: {essence(test['evidence'])}, not {essence(evidence)}")
        for one in required:
            keys = [key for key in ("service", "how", "via", *CERTAIN) if key in one]
            if not any(all(found[key] == one[key] for key in keys) for found in test["evidence"]):
                wrong.append(f"{name}: nothing like {one}")
    return wrong


def check(classification: Json) -> None:
    run = classification["run"]
    assert (run["complete"], run["lost_events"], run["warnings"], run["exit_status"]) == (True, 0, [], 0)
    assert differences(classification) == []
    assert {key: classification["summary"][key] for key in EXPECTED["summary"]} == EXPECTED["summary"]
    for service, expected in EXPECTED["validation"].items():
        validation = classification["validation"][service]
        assert {key: validation[key] for key in expected} == expected


@pytest.mark.kernel
def test_the_example_is_classified_as_expected_ten_times_in_a_row(
    shop_services: dict[str, str], tmp_path: Path
) -> None:
    for number in range(10):
        check(traced(shop_services, tmp_path / f"{number}.json"))


@pytest.mark.kernel
def test_the_same_with_xdist(shop_services: dict[str, str], tmp_path: Path) -> None:
    for number in range(3):
        check(traced(shop_services, tmp_path / f"{number}.json", "-n", "2"))


def outcomes(services: dict[str, str], folder: Path, *before: str | Path) -> list[tuple[str, str, list[str]]]:
    """Of each test of the suite its class, its name and what pytest says that passing tests do not have."""
    results = folder / "results.xml"
    suite = (sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"--junitxml={results}")
    subprocess.run([*before, *suite], cwd=SHOP, env=os.environ | services, check=True, capture_output=True)
    cases = ElementTree.parse(results).iter("testcase")
    return [(case.attrib["classname"], case.attrib["name"], [found.tag for found in case]) for case in cases]


@pytest.mark.kernel
def test_every_test_ends_as_it_does_without_svc_trace(shop_services: dict[str, str], tmp_path: Path) -> None:
    bare = outcomes(shop_services, tmp_path)
    traced = outcomes(shop_services, tmp_path, sys.executable, "-m", "tracer", "-q", "-o", tmp_path / "report", "--")
    assert len(bare) == len(EXPECTED["tests"])
    assert traced == bare


@pytest.mark.kernel
def test_any_part_of_the_suite_alone(shop_services: dict[str, str], tmp_path: Path) -> None:
    name = "tests/test_orders.py::TestCheckout::test_stores_the_order"
    classification = traced(shop_services, tmp_path / "one.json", name)
    (test,) = classification["tests"].values()
    assert test["services"] == EXPECTED["tests"][name]["services"]
    assert essence(test["evidence"]) == essence(EXPECTED["tests"][name]["evidence"])


BLIND = "tests/test_orders.py::TestCheckout::test_stores_the_order"


def svc_trace(services: dict[str, str], *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tracer", *arguments]
    return subprocess.run(command, cwd=SHOP, env=os.environ | services, capture_output=True, text=True, check=False)


@pytest.mark.kernel
def test_the_rules_are_validated_and_accepted(shop_services: dict[str, str], tmp_path: Path) -> None:
    """A nightly: what is found fails it with a status of its own; what is accepted leaves it pytest's."""
    report, baseline = tmp_path / "report.json", tmp_path / "accepted"
    suite = ("--", sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider")
    first = svc_trace(shop_services, "-q", "-o", report, "--fail-on", "blind-spots", *suite)
    assert first.returncode == 81, first.stderr
    validated = svc_trace({}, "validate", report, "--format", "json", "--write-baseline", baseline)
    told = json.loads(validated.stdout)["services"]
    kafka, postgres = told["kafka"], told["postgres"]
    ((blind, evidence),) = kafka["blind_spots"].items()
    assert blind == BLIND
    assert {(one["phase"], one["thread"], one["how"]) for one in evidence} == {("call", "other", "direct")}
    assert [(one["kind"], one["value"]) for one in kafka["proposals"]] == [("class", "test_orders.TestCheckout")]
    assert [(len(one["caught"]), len(one["over_assumed"])) for one in kafka["proposals"]] == [(1, 1)]
    assert postgres["over_assumed"] == EXPECTED["validation"]["postgres"]["over_assumed"]
    by_class = {"kind": "class", "value": "shop.testing.DatabaseTestCase", "claimed": 4, "confirmed": 2}
    assert by_class | {"over_assumed": postgres["over_assumed"]} in postgres["entries"]
    assert (kafka["precision"], kafka["recall"]) == (5 / 6, 5 / 6)
    again = svc_trace(shop_services, "-q", "-o", report, "--fail-on", "blind-spots", "--baseline", baseline, *suite)
    assert (again.returncode, again.stderr) == (0, "")
    failing = ("-q", "-o", report, "--fail-on", "blind-spots", "--baseline", baseline, *suite, "-k", "no_such_test")
    assert svc_trace(shop_services, *failing).returncode == 5, "pytest's own status: no tests ran"


def without_chance(classification: Json) -> Json:
    """What all runs tell alike: no times, no port of the kernel's choice, no broker of a Kafka client's."""
    run = classification["run"]
    told = {key: value for key, value in classification.items() if key not in ("generated_at", "run_evidence")}
    told["run"] = {key: run[key] for key in ("complete", "exit_status", "lost_events", "warnings")}
    told["tests"] = {}
    for name, test in classification["tests"].items():
        certain = [one for one in test["evidence"] if not _is_optional(name, one)]
        told["tests"][name] = test | {"duration_s": None, "evidence": sorted({str(_certain(one)) for one in certain})}
    return told


def _is_optional(name: str, evidence: Json) -> bool:
    optional = [one for one in EXPECTED["tests"][name].get("evidence", []) if one.get("optional")]
    return any((one["service"], one["how"]) == (evidence["service"], evidence["how"]) for one in optional)


def _certain(evidence: Json) -> list[tuple[str, Any]]:
    chance = {"first_s"}
    if evidence["service"] == "kafka":
        chance |= {"endpoint", "connects", "sends", "bytes", "strength"}
    if evidence.get("self_hosted"):
        chance |= {"endpoint"}
    return sorted((key, value) for key, value in evidence.items() if key not in chance)


@pytest.mark.kernel
def test_all_backends_report_the_same(shop_services: dict[str, str], tmp_path: Path) -> None:
    told = {backend: traced(shop_services, tmp_path / f"{backend}.json", backend=backend) for backend in BACKENDS}
    for classification in told.values():
        check(classification)
    first, *others = (without_chance(classification) for classification in told.values())
    for other in others:
        assert other == first
