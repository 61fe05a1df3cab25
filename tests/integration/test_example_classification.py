"""Traces the example suite with real services and compares each test with expected.toml."""

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
COMPARED = ("phase", "fixture", "thread", "strength", "errno")
LONG_S = 0.02
"""A set-up that takes so long in one run takes at least a millisecond in the others."""

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
    """The differences between a classification and the expected one."""
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
            keys = [key for key in ("service", "how", "via", *COMPARED) if key in one]
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


def outcomes(services: dict[str, str], directory: Path, *before: str | Path) -> list[tuple[str, str, list[str]]]:
    """Class, name and JUnit elements (failure, skipped, …) of each test of the suite."""
    results = directory / "results.xml"
    suite = (sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"--junitxml={results}")
    subprocess.run([*before, *suite], cwd=SHOP, env=os.environ | services, check=True, capture_output=True)
    cases = ElementTree.parse(results).iter("testcase")
    return [(case.attrib["classname"], case.attrib["name"], [element.tag for element in case]) for case in cases]


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
def test_assumptions_are_checked_and_findings_accepted(shop_services: dict[str, str], tmp_path: Path) -> None:
    """New findings set exit status 81. With findings that the baseline accepts, pytest's status remains."""
    report, baseline = tmp_path / "report.json", tmp_path / "accepted"
    suite = ("--", sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider")
    first = svc_trace(shop_services, "-q", "-o", report, "--fail-on", "blind-spots", *suite)
    assert first.returncode == 81, first.stderr
    validated = svc_trace({}, "validate", report, "--format", "json", "--write-baseline", baseline)
    checks = json.loads(validated.stdout)["services"]
    kafka, postgres = checks["kafka"], checks["postgres"]
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


def reproducible(classification: Json) -> Json:
    """The part that is equal in all runs: without times, ports, Kafka clients' choices, wake-ups, and operations."""
    run = classification["run"]
    varying = ("generated_at", "run_evidence", "set_ups")
    part = {key: value for key, value in classification.items() if key not in varying}
    part["run"] = {key: run[key] for key in ("complete", "exit_status", "lost_events", "warnings")}
    part["tests"] = {}
    for name, test in classification["tests"].items():
        entries = [one for one in test["evidence"] if not _is_optional(name, one)]
        part["tests"][name] = test | {
            "duration_s": None,
            "shared_s": None,
            "set_ups": None,
            "evidence": sorted({str(_reproducible(one)) for one in entries}),
        }
    return part


def set_ups(classification: Json) -> tuple[dict[str, set[str]], dict[str, float]]:
    """The tests of each set-up, and its seconds. Reports leave out those of less than a millisecond."""
    keys = [f"{one['via']} {one['scope']} {one['node']} {one['param']}" for one in classification["set_ups"]]
    found: dict[str, set[str]] = {}
    for name, test in classification["tests"].items():
        for number in test["set_ups"]:
            found.setdefault(keys[number], set()).add(name)
    return found, {key: one["duration_s"] for key, one in zip(keys, classification["set_ups"], strict=True)}


def _is_optional(name: str, evidence: Json) -> bool:
    optional = [one for one in EXPECTED["tests"][name].get("evidence", []) if one.get("optional")]
    return any((one["service"], one["how"]) == (evidence["service"], evidence["how"]) for one in optional)


def _reproducible(evidence: Json) -> list[tuple[str, Any]]:
    varying = {"first_s", "asked", "operations", "other_sends"}
    if evidence["service"] == "kafka":
        varying |= {"endpoint", "connects", "sends", "bytes", "strength"}
    if evidence.get("self_hosted"):
        varying |= {"endpoint"}
    return sorted((key, value) for key, value in evidence.items() if key not in varying)


@pytest.mark.kernel
def test_all_backends_report_the_same(shop_services: dict[str, str], tmp_path: Path) -> None:
    reports = {backend: traced(shop_services, tmp_path / f"{backend}.json", backend=backend) for backend in BACKENDS}
    for classification in reports.values():
        check(classification)
    first, *others = (reproducible(classification) for classification in reports.values())
    for other in others:
        assert other == first
    shared = [set_ups(classification) for classification in reports.values()]
    for one in {name for users, _ in shared for name in users}:
        found = [users[one] for users, _ in shared if one in users]
        longest_s = max(durations.get(one, 0) for _, durations in shared)
        assert len(found) == len(shared) or longest_s < LONG_S, one
        assert found == [found[0]] * len(found), one


HOSTS = """\
127.0.0.1 localhost postgres.shop.test redis.shop.test kafka.shop.test
127.0.0.9 search.shop.test
"""
"""As /etc/hosts in the suite's own mount namespace."""
OWN_HOSTS = 'mount --bind "$0" /etc/hosts && exec "$@"'


@pytest.mark.kernel
def test_host_names_in_place_of_addresses(shop_services: dict[str, str], backend: str, tmp_path: Path) -> None:
    """The suite finds its services by names, and the configuration too."""
    names = {
        "SHOP_POSTGRES_DSN": ("127.0.0.1", "postgres.shop.test"),
        "SHOP_REDIS_URL": ("127.0.0.1", "redis.shop.test"),
        "SHOP_KAFKA_BOOTSTRAP": ("127.0.0.1", "kafka.shop.test"),
        "SHOP_SEARCH_URL": ("127.0.0.9", "search.shop.test"),
    }
    named = shop_services | {key: shop_services[key].replace(*change) for key, change in names.items()}
    assert all(name in named[key] for key, (_, name) in names.items())
    by_names = (SHOP / "pyproject.toml").read_text().replace('hosts = ["127.0.0.9"]', 'hosts = ["search.*"]')
    (tmp_path / "pyproject.toml").write_text(by_names)
    (tmp_path / "hosts").write_text(HOSTS)
    report = tmp_path / "report.json"
    subprocess.run(
        [
            *(sys.executable, "-m", "tracer", "--backend", backend, "--config", tmp_path / "pyproject.toml"),
            *("-o", report, "--", "unshare", "--mount", "sh", "-c", OWN_HOSTS, tmp_path / "hosts"),
            *(sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"),
        ],
        cwd=SHOP,
        env=os.environ | named,
        check=True,
        capture_output=True,
    )
    classification: Json = json.loads(report.read_text())
    check(classification)
    hosts = {(one["service"], one.get("host")) for test in classification["tests"].values() for one in test["evidence"]}
    assert {host for service, host in hosts if service == "search"} == {"search.shop.test"}
