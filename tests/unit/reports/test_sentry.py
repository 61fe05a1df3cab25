from __future__ import annotations

import json

import large_suite
import suites
from msgspec.structs import replace

from tracer.classify.model import TestResult
from tracer.classify.services.rules import Rules
from tracer.reports.formats.sentry import render

AS_THE_CLASSIFIER_WRITES = r"""{
  "generated_at": "2026-11-20T22:00:00Z",
  "total_tests": 5,
  "summary": {
    "service_counts": {
      "postgres": 3,
      "kafka": 2,
      "snuba": 1,
      "unknown:tcp://10.0.0.1:99": 1
    },
    "tier_counts": {
      "other_services": 2,
      "no_services": 1,
      "postgres_only": 1,
      "snuba_tier": 1
    }
  },
  "tests": {
    "a.py::x[\u00e9\udce9]": [],
    "b.py::x": [
      "postgres"
    ],
    "c.py::x": [
      "kafka",
      "postgres",
      "snuba"
    ],
    "d.py::ambient": [
      "kafka",
      "postgres"
    ],
    "e.py::unknown": [
      "unknown:tcp://10.0.0.1:99"
    ]
  }
}
"""


def rendered(tests: dict[str, TestResult]) -> str:
    one = replace(large_suite.classification(), tests=tests)
    return b"".join(render(one)).decode("ascii")


def using(*services: str, ambient: tuple[str, ...] = (), assumed: tuple[str, ...] = ()) -> TestResult:
    test = next(iter(large_suite.classification().tests.values()))
    return replace(test, services=services, ambient=ambient, self_hosted=("http",), assumed=assumed)


def test_the_report_is_the_classifiers() -> None:
    tests = {
        "e.py::unknown": using("unknown:tcp://10.0.0.1:99"),
        "d.py::ambient": using("postgres", ambient=("kafka",)),
        "c.py::x": using("kafka", "postgres", "snuba", assumed=("smtp",)),
        "b.py::x": using("postgres"),
        "a.py::x[é\udce9]": using(),
    }
    assert rendered(tests) == AS_THE_CLASSIFIER_WRITES


def test_tiers_without_tests_are_left_out() -> None:
    assert '"tier_counts": {}' in rendered({})


def test_a_test_has_what_its_session_needs_to_begin() -> None:
    run_evidence = (suites.at_start("postgres"),)
    one = suites.classification({"a.py::x": suites.result(["kafka"])}, (), Rules(), run_evidence=run_evidence)
    report = json.loads(b"".join(render(one)))
    assert report["tests"] == {"a.py::x": ["kafka", "postgres"]}
