from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path

import large_suite
import pytest
from msgspec.structs import replace
from suites import verdict, verification

from tracer.errors import ExitStatus, SvcTraceError
from tracer.reports import json_report
from tracer.reports.verify_json import read_verification, render

SAMPLE = verification(
    {
        "tests/a.py::\udce9[\n]": verdict("tolerates", "redis", refused=2, through="fixture:flush"),
        "tests/a.py::x": verdict(
            "needs",
            "redis",
            refused=1,
            through="fixture:pool@tests",
            outcome_without="error",
            duration_with_s=0.25,
            duration_without_s=5.5,
        ),
        "tests/a.py::y": verdict("undecided", reason="missing-without", outcome_without=None),
        "tests/a.py::z": verdict("needs"),
    },
    "kafka",
    "redis",
)
TEXT = """
{"schema": "svc-trace-verify/1", "generated_at": "2026-11-21T22:00:00Z", "command": ["pytest"],
 "without": ["kafka", "redis"], "complete": true, "runs_with": 1, "runs_without": 1,
 "tests": {
    "tests/a.py::\\udce9[\\n]": {"verdict": "tolerates", "outcome_with": "passed", "outcome_without": "passed",
      "refused": 2, "through": "fixture:flush", "duration_with_s": null, "duration_without_s": null,
      "tried": ["redis"]},
    "tests/a.py::x": {"verdict": "needs", "outcome_with": "passed", "outcome_without": "error", "refused": 1,
      "through": "fixture:pool@tests", "duration_with_s": 0.25, "duration_without_s": 5.5, "tried": ["redis"]},
    "tests/a.py::y": {"verdict": "undecided", "outcome_with": "passed", "outcome_without": null, "refused": 0,
      "through": null, "duration_with_s": null, "duration_without_s": null, "tried": [], "reason": "missing-without"},
    "tests/a.py::z": {"verdict": "needs", "outcome_with": "passed", "outcome_without": "failed", "refused": 0,
      "through": null, "duration_with_s": null, "duration_without_s": null, "tried": []}},
 "summary": {"needs": 2, "tolerates": 1, "unaffected": 0, "undecided": 1},
 "surprises": ["tests/a.py::z"]}
"""


def stored(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


def rendered() -> bytes:
    return b"".join(render(SAMPLE))


@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "gzip"])
def test_verdicts_come_back_as_they_were(tmp_path: Path, pack: Callable[[bytes], bytes]) -> None:
    assert read_verification(stored(tmp_path / "v", pack(rendered()))) == SAMPLE


def test_the_file_has_the_documented_keys_in_their_order() -> None:
    expected, found = json.loads(TEXT), json.loads(rendered())
    assert found == expected
    assert list(found) == list(expected)
    assert [list(test) for test in found["tests"].values()] == [list(test) for test in expected["tests"].values()]


def test_each_test_is_a_line() -> None:
    text = rendered()
    assert text.startswith(b'{\n  "schema": "svc-trace-verify/1",\n')
    assert text.endswith(b"}\n")
    assert text.count(b'\n    "tests/a.py::') == 5, "four tests and a surprise"


def test_the_designs_fields_are_enough(tmp_path: Path) -> None:
    short = {
        "schema": "svc-trace-verify/1",
        "generated_at": "",
        "command": [],
        "without": ["redis", "kafka", "redis"],
        "complete": True,
        "runs_with": 1,
        "runs_without": 1,
        "tests": {name: {"verdict": "needs", "outcome_with": "passed", "outcome_without": "failed"} for name in "ba"},
    }
    found = read_verification(stored(tmp_path / "v", json.dumps(short).encode()))
    assert found.without == ("kafka", "redis")
    assert list(found.tests.items()) == [("a", verdict("needs")), ("b", verdict("needs"))]


def test_a_report_may_have_verdicts(tmp_path: Path) -> None:
    plain = large_suite.classification()
    other = replace(SAMPLE, without=("postgres",), tests={})
    one = replace(plain, verified=(SAMPLE, other))
    data = b"".join(json_report.render(one))
    assert json_report.read_classification(stored(tmp_path / "r", data)) == one
    assert b'"verified"' not in b"".join(json_report.render(plain))
    assert data.count(b'\n    "tests/a.py::') == 4
    twice = replace(plain, verified=(other, SAMPLE, SAMPLE))
    data = b"".join(json_report.render(twice))
    assert json_report.read_classification(stored(tmp_path / "r", data)) == one


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("svc-trace-verify/1", "svc-trace/1", "its schema is 'svc-trace/1', not 'svc-trace-verify/1'"),
        ("{", "[", "it is not a JSON object"),
        ('"without": ["kafka", "redis"]', '"without": []', "Expected `array` of length >= 1 - at `$.without`"),
        ('"verdict": "needs"', '"verdict": "loves"', "Invalid enum value 'loves' - at `$.tests[...].verdict`"),
        ('"through": "fixture:flush"', '"through": "magic"', "matching regex"),
        ('"through": "fixture:flush"', '"through": "session\\n"', "matching regex"),
        ('"refused": 2', '"refused": -2', "Expected `int` >= 0 - at `$.tests[...].refused`"),
        ('"duration_with_s": 0.25', '"duration_with_s": 1e300', "Expected `float` <= 1000000000000.0"),
        ('"outcome_with": "passed", ', "", "Object missing required field `outcome_with`"),
        ('"tried": ["redis"]', '"tried": ["redis"], "reason": "flaky"', "the verdict tolerates has no reason"),
        ('"reason": "missing-without"', '"reason": "none"', "Invalid enum value 'none'"),
        ('"schema"', "schema", "property name enclosed in double quotes"),
    ],
)
def test_a_file_without_verdicts_is_an_error(tmp_path: Path, old: str, new: str, problem: str) -> None:
    assert old in TEXT
    path = stored(tmp_path / "v", TEXT.replace(old, new, 1).encode())
    with pytest.raises(SvcTraceError) as raised:
        read_verification(path)
    assert str(path) in raised.value.message
    assert problem in raised.value.message
    assert (raised.value.slug, raised.value.exit_code) == ("bad-verdicts", ExitStatus.BAD_INPUT)


def test_half_a_file_and_no_file_are_errors(tmp_path: Path) -> None:
    with pytest.raises(SvcTraceError, match="ended before") as raised:
        read_verification(stored(tmp_path / "v", gzip.compress(rendered())[:-20]))
    assert raised.value.slug == "bad-verdicts"
    with pytest.raises(SvcTraceError, match="No such file") as raised:
        read_verification(tmp_path / "none")
    assert raised.value.slug == "cannot-read"


def test_verdicts_in_a_report_are_checked_too(tmp_path: Path) -> None:
    data = b"".join(json_report.render(replace(large_suite.classification(), verified=(SAMPLE,))))
    for old, new in ((b"svc-trace-verify/1", b"svc-trace-verify/2"), (b'"verdict":"needs"', b'"verdict":"no"')):
        assert old in data
        with pytest.raises(SvcTraceError) as raised:
            json_report.read_classification(stored(tmp_path / "r", data.replace(old, new)))
        assert raised.value.slug == "bad-report"
