"""The harness itself: it tells every difference, and where a scenario is malformed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from suites import evidence

from tracer.classify.model import Classification, RunInfo, Summary, TestResult
from tracer.classify.services.config import Rules
from tracer.errors import SvcTraceError
from truth.differences import differences
from truth.runs import Finished, Phases, disturbances
from truth.scenario import load

EVIDENCE = replace(evidence("alpha"), endpoint="tcp://127.0.0.1:7000", command="python", bytes=9, first_s=0.1)
TEST = TestResult("passed", 0.1, 1, ("alpha",), (), (), (), None, (EVIDENCE,))
RUN = RunInfo(("pytest",), "libbpf", "6.18", "2026-11-20T22:00:00Z", 1.0, 0, True, 0, ())
REPORT = Classification(
    "2026-11-20T22:00:00Z", RUN, Rules(), (), {"test_a.py::test[1]": TEST}, (), Summary(1, {}, {"all": 1}), {}
)
TRUE = '[tests."test_a.py::test[1]"]\nevidence = [{ service = "alpha", sends = 3, transport = "tcp", errno = "" }]'


def told(text: str, folder: Path) -> list[str]:
    (folder / "scenario.toml").write_text(f'says = "It is so."\n{text}')
    return [*differences(load(folder), REPORT)]


@pytest.mark.parametrize(
    "text",
    [
        TRUE,
        TRUE.replace("test[1]", "*").replace("evidence", "count = 1\nevidence"),
        TRUE.replace("alpha", "al*"),
        TRUE.replace("evidence = [", 'evidence = [{ service = "beta", optional = true }, '),
        TRUE.replace("sends = 3", "sends = 3, optional = true"),
        TRUE.replace("evidence", 'services = ["alpha"]\nevidence').replace("sends = 3", "sends = 4"),
        TRUE.replace("[tests", "tiers = { all = 1 }\n[tests"),
    ],
)
def test_what_is_true_has_no_differences(text: str, tmp_path: Path) -> None:
    assert told(text, tmp_path) == []


@pytest.mark.parametrize(
    ("old", "new", "first"),
    [
        ("sends = 3", "sends = 2", "test_a.py::test[1]: unexpected: alpha direct in call, endpoint"),
        ('"alpha"', '"beta"', "test_a.py::test[1]: unexpected: alpha direct in call, endpoint"),
        ('"alpha"', '"alpha", phase = "setup"', "test_a.py::test[1]: unexpected: alpha direct in call, endpoint"),
        ('errno = ""', 'errno = "EPIPE"', "test_a.py::test[1]: unexpected: alpha direct in call, endpoint"),
        ("evidence = [", 'evidence = [{ service = "beta" }, ', "test_a.py::test[1]: missing:    beta direct in call"),
        ("[1]", "[2]", "test_a.py::test[2]: 0 tests in the report"),
        ("evidence", "count = 2\nevidence", "test_a.py::test[1]: 1 tests in the report, not 2"),
        ("evidence", 'outcome = "failed"\nevidence', "test_a.py::test[1]: passed, not failed"),
        ("evidence", "attempts = 2\nevidence", "test_a.py::test[1]: 1 attempts, not 2"),
        ("evidence", 'assumed = ["beta"]\nevidence', "test_a.py::test[1]: assumed [], not ['beta']"),
        ("evidence", "services = []\nevidence", "test_a.py::test[1]: uses ['alpha'], not []"),
        ("[tests", "tiers = { none = 1 }\n[tests", "the run: tiers {'all': 1}, not {'none': 1}"),
        ("[tests", 'variants = ["test_a.py::test"]\n[tests', "the run: variants of [] differ, not of"),
        (
            "[tests",
            '[violations]\n"marker:unit=none" = ["test_a.py::test[1]"]\n[tests',
            "the run: contract marker:unit=none is broken by [], not by ['test_a.py::test[1]']",
        ),
        ("[tests", "exit_status = [1, 2]\n[tests", "the run: exit status 0, not 1 or 2"),
        ("[tests", "complete = false\n[tests", "the run: complete is True"),
        ("[tests", 'warnings = ["no-hook"]\n[tests', "the run: warnings [], not ['no-hook']"),
        ("[tests", 'run_evidence = [{ service = "beta" }]\n[tests', "the run: missing:    beta direct in no phase"),
    ],
)
def test_every_difference_is_told(old: str, new: str, first: str, tmp_path: Path) -> None:
    assert told(TRUE.replace(old, new, 1), tmp_path)[0].startswith(first)


def test_a_test_that_is_not_expected_is_told(tmp_path: Path) -> None:
    assert told("", tmp_path) == ["test_a.py::test[1]: a test that is not expected"]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("arguments = 1", "arguments: is an integer, not a list"),
        ("argument = []", "argument: unknown key"),
        ('suite = "fixtures/gone"', "suite: there is no scenario 'fixtures/gone'"),
        ('needs = ["redid"]', "needs[0]: 'redid' is nothing that can be needed"),
        ('exit_status = [0, "1"]', "exit_status[1]: is no integer"),
        ("run_evidence = [{ sends = 1 }]", "run_evidence[0].service: is missing"),
        ('[tests."a.py::b"]\nevidenc = []', 'tests."a.py::b".evidenc: unknown key'),
        ('[tests.a]\nevidence = [{ service = "alpha", send = 1 }]', "tests.a.evidence[0].send: unknown key"),
        ('[tests.a]\nevidence = [{ service = "alpha", sends = [1] }]', "tests.a.evidence[0].sends: is no fact"),
    ],
)
def test_a_malformed_scenario_names_file_and_key(text: str, problem: str, tmp_path: Path) -> None:
    with pytest.raises(SvcTraceError) as caught:
        told(text, tmp_path)
    assert f"{tmp_path / 'scenario.toml'}: {problem}" in str(caught.value)


def test_a_scenario_may_have_the_suite_of_another(tmp_path: Path) -> None:
    own, other = tmp_path / "group" / "own", tmp_path / "group" / "other"
    for folder in (own, other):
        folder.mkdir(parents=True)
    (own / "scenario.toml").write_text('says = "It is so."')
    (other / "scenario.toml").write_text('says = "So is this."\nsuite = "group/own"')
    assert [load(folder).suite for folder in (own, other)] == [own, own]


def test_every_disturbance_is_told() -> None:
    bare = Finished(0, Phases({("a", "setup", "passed", False): 1, ("a", "call", "passed", False): 1}), "")
    traced = Finished(1, Phases({("a", "setup", "passed", False): 1, ("a", "call", "failed", False): 1}), "")
    assert [*disturbances(bare, bare)] == []
    assert [*disturbances(traced, bare)] == [
        "the run: exit status 1, and 0 without svc-trace",
        "a: call failed only under svc-trace",
        "a: call passed only without svc-trace",
    ]
