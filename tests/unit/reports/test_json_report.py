from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path

import large_suite
import pytest
from large_suite import SEEN
from msgspec.structs import replace

from tracer.classify.model import Classification, Variants
from tracer.classify.services.rules import Rules
from tracer.errors import ExitStatus, SvcTraceError
from tracer.reports.json_report import read_classification, render

AS_IN_THE_DESIGN = """
{"schema": "svc-trace/1", "generated_at": "2026-11-20T22:00:00Z",
 "run": {"command": ["pytest"], "backend": "libbpf", "kernel": "6.18.0", "started_at": "2026-11-20T21:00:00Z",
         "duration_s": 1.5, "exit_status": 0, "complete": true, "lost_events": 0,
         "warnings": [{"slug": "s", "message": "m", "hint": "h"}], "pytest_reported": true, "missing_tests": 0,
         "lacks_causes": ""},
 "rules": {
    "assumptions": {"postgres": {"fixtures": ["db"], "markers": [], "classes": [], "paths": [], "in_class": false}},
    "tiers": [{"name": "postgres_only", "within": ["postgres"], "any": null}],
    "contracts": [{"selector": "marker", "value": "unit", "services": "none"}],
    "variants": {"parameters": ["REGION"], "class_suffixes": []}},
 "facts": [{"path": "a.py", "fixtures": ["db"], "markers": [], "bases": [], "autouse": []}],
 "tests": {"a.py::b": {"outcome": "passed", "duration_s": 0.01,
    "services": ["postgres"], "ambient": [], "self_hosted": [], "assumed": ["postgres"], "facts": 0,
    "evidence": [{"service": "postgres", "endpoint": "tcp://127.0.0.1:5432", "how": "direct",
       "via": null, "phase": "call", "fixture": null, "thread": "test", "command": "python",
       "strength": "sent", "connects": 1, "sends": 3, "bytes": 120, "errno": null, "first_s": 0.001}]}},
 "run_evidence": [],
 "summary": {"total_tests": 1, "services": {"postgres": 1}, "tiers": {"postgres_only": 1},
    "directories": {".": {"tests": 1, "services": {"postgres": 1}, "tiers": {"postgres_only": 1}}}},
 "validation": {"postgres": {"confirmed": 1, "blind_spots": [], "over_assumed": [], "neither": 0, "ambient_only": [],
    "undecided": 0, "precision": 1.0, "recall": 1.0}},
 "contracts": [{"selector": "marker", "value": "unit", "services": "none", "tests": 1, "violations": ["a.py::b"]}],
 "why": {"postgres": {"tests": 1, "by_phase": {"call": 1}, "by_fixture": {}, "only_through": {}}}}
"""


@pytest.fixture
def sample() -> Classification:
    return large_suite.classification()


def rendered(classification: Classification) -> bytes:
    return b"".join(render(classification))


def stored(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "gzip"])
def test_a_report_comes_back_as_it_was(sample: Classification, tmp_path: Path, pack: Callable[[bytes], bytes]) -> None:
    assert read_classification(stored(tmp_path / "r", pack(rendered(sample)))) == sample


def test_a_report_has_the_designs_keys_in_its_order(tmp_path: Path) -> None:
    design = json.loads(AS_IN_THE_DESIGN)
    report = json.loads(rendered(read_classification(stored(tmp_path / "r", AS_IN_THE_DESIGN.encode()))))
    test = report["tests"]["a.py::b"]
    assert list(report) == list(design)
    assert test.pop("attempts") == 1
    assert test["evidence"][0].pop("protocol") is None
    assert report["summary"].pop("combinations") == [{"services": ["postgres"], "tests": 1}]
    assert report["run"].pop("last_test_s") is None
    assert report["run"].pop("session_s") is None
    assert report["facts"][0].pop("group") == ""
    assert report == design


def test_a_report_of_an_older_version_has_no_rules_and_no_facts(tmp_path: Path) -> None:
    older = json.loads(AS_IN_THE_DESIGN)
    del older["rules"], older["facts"], older["tests"]["a.py::b"]["facts"]
    report = read_classification(stored(tmp_path / "r", json.dumps(older).encode()))
    assert (report.rules, report.facts, report.tests["a.py::b"].facts) == (Rules(), (), None)


def test_a_report_of_an_older_version_gets_its_combinations(sample: Classification, tmp_path: Path) -> None:
    older = json.loads(rendered(sample))
    del older["summary"]["combinations"], older["run"]["last_test_s"]
    assert read_classification(stored(tmp_path / "r", json.dumps(older).encode())) == sample


def test_optional_fields_of_an_evidence_are_written_if_true(sample: Classification, tmp_path: Path) -> None:
    one = replace(sample, run_evidence=(replace(SEEN, self_hosted=True, ambiguous=True, listener="java", host="es"),))
    data = rendered(one)
    (written,) = json.loads(data)["run_evidence"]
    assert (written["self_hosted"], written["host"]) == (True, "es")
    assert not {"self_hosted", "host"} & json.loads(rendered(sample))["run_evidence"][0].keys()
    assert read_classification(stored(tmp_path / "r", data)) == one


def test_operations_are_written_if_any_were_seen(sample: Classification, tmp_path: Path) -> None:
    silent = replace(SEEN, operations=(), other_sends=0)
    data = rendered(replace(sample, run_evidence=(SEEN, silent)))
    first, second = json.loads(data)["run_evidence"]
    assert (first["operations"], first["other_sends"]) == (["INSERT", "SELECT"], 27)
    assert first.keys() - second.keys() == {"operations", "other_sends"}
    assert read_classification(stored(tmp_path / "r", data)).run_evidence == (SEEN, silent)


def test_variants_are_written_if_any_are_compared(sample: Classification, tmp_path: Path) -> None:
    assert "variants" not in json.loads(rendered(sample))
    one = replace(sample, variants=Variants(3, {"t.py::test": {"t.py::test[A]": ("redis",), "t.py::test[B]": ()}}))
    assert json.loads(rendered(one))["variants"] == {
        "compared": 3,
        "differing": {"t.py::test": {"t.py::test[A]": ["redis"], "t.py::test[B]": []}},
    }
    assert read_classification(stored(tmp_path / "r", rendered(one))) == one


def test_node_ids_with_lone_surrogates_come_back(sample: Classification, tmp_path: Path) -> None:
    nodeid = "tests/test_\udce9t\udce9.py::test_é[\n\x1b\U0001f600]"
    one = replace(sample, tests={nodeid: next(iter(sample.tests.values()))})
    data = rendered(one)
    assert rb"test_\udce9t\udce9.py::test_" + "é[".encode() in data, "only the surrogates are escaped"
    assert read_classification(stored(tmp_path / "r", data)) == one


def test_the_text_is_indented_and_ends_in_a_newline(sample: Classification) -> None:
    assert rendered(sample).startswith(b'{\n  "schema": "svc-trace/1",\n  "generated_at": ')
    assert rendered(sample).endswith(b"}\n")


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("svc-trace/1", "svc-trace/2", "its schema is 'svc-trace/2', not 'svc-trace/1'"),
        ('"sends": 3', '"sends": "3"', "Expected `int`, got `str` - at `$.tests[...].evidence[0].sends`"),
        ('"phase": "call"', '"phase": "nap"', "Invalid enum value 'nap' - at `$.tests[...].evidence[0].phase`"),
        ('"kernel": "6.18.0", ', "", "Object missing required field `kernel` - at `$.run`"),
        ('"facts": 0', '"facts": 1', "tests: a.py::b: facts: there are 1, none has number 1"),
        ('"facts": 0', '"facts": -1', "tests: a.py::b: facts: there are 1, none has number -1"),
        ('"tests": {', '"tests": {"x": 1, ', "Expected `object`, got `int` - at `$.tests[...]`"),
        ('"schema"', "schema", "object keys must be strings (byte 2)"),
    ],
)
def test_a_file_that_is_not_a_report_is_an_error(tmp_path: Path, old: str, new: str, problem: str) -> None:
    path = stored(tmp_path / "r", AS_IN_THE_DESIGN.replace(old, new).encode())
    with pytest.raises(SvcTraceError) as raised:
        read_classification(path)
    assert str(path) in raised.value.message
    assert problem in raised.value.message
    assert (raised.value.slug, raised.value.exit_code) == ("bad-report", ExitStatus.BAD_INPUT)


def test_half_a_packed_report_is_an_error(sample: Classification, tmp_path: Path) -> None:
    path = stored(tmp_path / "r", gzip.compress(rendered(sample))[:-100])
    with pytest.raises(SvcTraceError, match="ended before"):
        read_classification(path)
