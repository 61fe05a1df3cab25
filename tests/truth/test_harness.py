"""The harness itself: it finds each difference, and names the key of a malformed scenario."""

from __future__ import annotations

from itertools import permutations
from pathlib import Path

import pytest
from msgspec.structs import replace
from suites import evidence

from tracer.classify.model import (
    Classification,
    Evidence,
    RunInfo,
    Summary,
    TestResult,
    TestVerdict,
    Verification,
)
from tracer.errors import SvcTraceError
from tracer.trace.endpoint import Endpoint
from truth.differences import differences, differences_of_trial
from truth.runs import Finished, Phases, disturbances
from truth.scenario import load

EVIDENCE = replace(
    evidence("alpha"), endpoint=Endpoint("tcp", "127.0.0.1", 7000), command="python", bytes=9, first_s=0.1
)
TEST = TestResult(
    outcome="passed",
    duration_s=0.1,
    services=("alpha",),
    ambient=(),
    self_hosted=(),
    assumed=(),
    evidence=(EVIDENCE,),
)
RUN = RunInfo(("pytest",), "libbpf", "6.18", "2026-11-20T22:00:00Z", 1.0, 0, True, 0, (), lacks_causes="")
REPORT = Classification(
    generated_at="2026-11-20T22:00:00Z",
    run=RUN,
    tests={"test_a.py::test[1]": TEST},
    run_evidence=(),
    summary=Summary(1, {}, {"all": 1}),
    validation={},
)
TRUE = '[tests."test_a.py::test[1]"]\nevidence = [{ service = "alpha", sends = 3, transport = "tcp", errno = "" }]'


def differences_from(text: str, directory: Path, report: Classification = REPORT) -> list[str]:
    (directory / "scenario.toml").write_text(f'says = "It is so."\n{text}')
    return [*differences(load(directory), report)]


@pytest.mark.parametrize(
    "text",
    [
        TRUE,
        TRUE.replace("test[1]", "*").replace("evidence", "count = 1\nevidence"),
        TRUE.replace("alpha", "al*"),
        f'[tests."*"]\ncount = 0\n{TRUE}',
        TRUE.replace("test_a", "test_*").replace("evidence", "count = 1\nevidence").replace('"alpha', '"$1lpha'),
        TRUE.replace("evidence = [", 'evidence = [{ service = "beta", optional = true }, '),
        TRUE.replace("sends = 3", "sends = 3, optional = true"),
        TRUE.replace("evidence", 'services = ["alpha"]\nevidence').replace("sends = 3", "sends = 4"),
        TRUE.replace("[tests", "tiers = { all = 1 }\n[tests"),
    ],
)
def test_a_true_report_has_no_differences(text: str, tmp_path: Path) -> None:
    assert differences_from(text, tmp_path) == []


@pytest.mark.parametrize(
    ("old", "new", "first"),
    [
        ('"alpha"', '"$1lpha"', "test_a.py::test[1]: unexpected: alpha direct in call, endpoint"),
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
        ("[tests", "missing_tests = 3\n[tests", "the run: 0 tests are missing, not 3"),
        ("[tests", 'missing_tests = ""\n[tests', "the run: 0 tests are missing, not None"),
        ("[tests", 'warnings = ["no-hook"]\n[tests', "the run: warnings [], not ['no-hook']"),
        ("[tests", 'run_evidence = [{ service = "beta" }]\n[tests', "the run: missing:    beta direct in no phase"),
    ],
)
def test_each_difference_is_found(old: str, new: str, first: str, tmp_path: Path) -> None:
    assert differences_from(TRUE.replace(old, new, 1), tmp_path)[0].startswith(first)


def report_with(*entries: Evidence) -> Classification:
    return replace(REPORT, tests={"test_a.py::test[1]": replace(TEST, evidence=entries)})


ALPHA = '{ service = "alpha" }'
OTHER = replace(EVIDENCE, thread="other")


@pytest.mark.parametrize(
    ("expected", "entries", "wrong"),
    [
        ([ALPHA], 1, []),
        ([ALPHA], 2, ["repeated"]),
        ([ALPHA], 3, ["repeated", "repeated"]),
        ([ALPHA, ALPHA], 2, []),
        ([ALPHA, ALPHA], 1, ["missing"]),
        (['{ service = "alpha", times = 2 }'], 2, []),
        (['{ service = "alpha", times = 2 }'], 1, ["missing"]),
        (['{ service = "alpha", times = 2 }'], 3, ["repeated"]),
        (['{ service = "alpha", optional = true }'], 0, []),
        (['{ service = "alpha", optional = true }'], 1, []),
        (['{ service = "alpha", optional = true }'], 2, ["repeated"]),
        (['{ service = "alpha", optional = true, times = 2 }'], 2, []),
        ([ALPHA, '{ service = "alpha", optional = true }'], 2, []),
        (['{ service = "alpha", any_number = true }'], 0, ["missing"]),
        (['{ service = "alpha", any_number = true }'], 1, []),
        (['{ service = "alpha", any_number = true }'], 3, []),
        (['{ service = "alpha", any_number = true, optional = true }'], 0, []),
        (['{ service = "alpha", any_number = true, optional = true }'], 3, []),
    ],
)
def test_an_expected_entry_stands_for_one_entry_of_the_report(
    expected: list[str], entries: int, wrong: list[str], tmp_path: Path
) -> None:
    text = f'[tests."test_a.py::test[1]"]\nevidence = [{", ".join(expected)}]'
    lines = differences_from(text, tmp_path, report_with(*[EVIDENCE] * entries))
    assert [line.removeprefix("test_a.py::test[1]: ").partition(":")[0] for line in lines] == wrong


@pytest.mark.parametrize("entries", list(permutations((EVIDENCE, EVIDENCE, OTHER))))
def test_entries_that_fit_several_expected_ones_are_matched_in_any_order(
    entries: tuple[Evidence, ...], tmp_path: Path
) -> None:
    """The wider entry must not take what only the narrower one can have, nor the optional what is required."""
    for expected in permutations(
        (
            '{ service = "a*", optional = true }',
            '{ service = "alpha" }',
            '{ service = "alpha", thread = "test" }',
        )
    ):
        text = f'[tests."test_a.py::test[1]"]\nevidence = [{", ".join(expected)}]'
        assert differences_from(text, tmp_path, report_with(*entries)) == []
        assert len(differences_from(text, tmp_path, report_with(*entries, OTHER))) == 1


def test_a_run_s_evidence_is_matched_one_to_one_too(tmp_path: Path) -> None:
    own = replace(EVIDENCE, phase=None)
    text = f"run_evidence = [{ALPHA}]\n{TRUE}"
    assert differences_from(text, tmp_path, replace(REPORT, run_evidence=(own,))) == []
    (line,) = differences_from(text, tmp_path, replace(REPORT, run_evidence=(own, own)))
    assert line.startswith("the run: repeated:   alpha direct in no phase")


def test_an_unexpected_test_is_a_difference(tmp_path: Path) -> None:
    assert differences_from("", tmp_path) == ["test_a.py::test[1]: a test that is not expected"]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("arguments = 1", "arguments: is an integer, not a list"),
        ("argument = []", "argument: unknown key"),
        ('suite = "fixtures/gone"', "suite: there is no scenario 'fixtures/gone'"),
        ('needs = ["redid"]', "needs[0]: 'redid' is unknown"),
        ('exit_status = [0, "1"]', "exit_status[1]: is a string, not an integer"),
        ("run_evidence = [{ sends = 1 }]", "run_evidence[0].service: is missing"),
        ('[tests."a.py::b"]\nevidenc = []', 'tests."a.py::b".evidenc: unknown key'),
        ('[tests.a]\nevidence = [{ service = "alpha", send = 1 }]', "tests.a.evidence[0].send: unknown key"),
        ('[tests.a]\nevidence = [{ service = "alpha", sends = [1] }]', "tests.a.evidence[0].sends: is no fact"),
        ('[tests.a]\nevidence = [{ service = "alpha", times = 0 }]', "tests.a.evidence[0].times: is less than 1"),
        ('[tests.a]\nevidence = [{ service = "alpha", optional = 1 }]', "tests.a.evidence[0].optional: is an integer"),
    ],
)
def test_a_malformed_scenario_names_file_and_key(text: str, problem: str, tmp_path: Path) -> None:
    with pytest.raises(SvcTraceError) as caught:
        differences_from(text, tmp_path)
    assert f"{tmp_path / 'scenario.toml'}: {problem}" in str(caught.value)


def test_a_scenario_may_have_the_suite_of_another(tmp_path: Path) -> None:
    own, other = tmp_path / "group" / "own", tmp_path / "group" / "other"
    for directory in (own, other):
        directory.mkdir(parents=True)
    (own / "scenario.toml").write_text('says = "It is so."')
    (other / "scenario.toml").write_text('says = "So is this."\nsuite = "group/own"')
    assert [load(directory).suite for directory in (own, other)] == [own, own]


def test_each_disturbance_is_found() -> None:
    bare = Finished(0, Phases({("a", "setup", "passed", False): 1, ("a", "call", "passed", False): 1}), "")
    traced = Finished(1, Phases({("a", "setup", "passed", False): 1, ("a", "call", "failed", False): 1}), "")
    assert [*disturbances(bare, bare)] == []
    assert [*disturbances(traced, bare)] == [
        "the run: exit status 1, and 0 without svc-trace",
        "a: call failed only under svc-trace",
        "a: call passed only without svc-trace",
    ]


TRIAL = Verification(
    generated_at="2026-11-20T22:00:00Z",
    command=("pytest",),
    without=("alpha",),
    complete=True,
    runs_with=1,
    runs_without=1,
    tests={
        "test_a.py::test": TestVerdict(
            verdict="needs",
            outcome_with="passed",
            outcome_without="error",
            refused=2,
            through="fixture:conn@",
            tried=("alpha",),
        )
    },
)
TRUE_VERDICT = """
says = "It is so."
without = ["alpha"]
[tests."test_a.py::test"]
verdict = "needs"
through = "fixture:conn@"
outcome_without = "error"
refused = 2
"""


@pytest.mark.parametrize(
    ("old", "new", "wrong"),
    [
        ("", "", []),
        ("refused = 2", "", []),
        ("_a.py", "_b.py", ["test_a.py::test: a test that is not expected", "test_b.py::test: no verdict"]),
        ('"needs"', '"undecided"\ntried = ["alpha"]', ["test_a.py::test: needs, not undecided"]),
        ("conn@", "conn", ["test_a.py::test: through fixture:conn@, not fixture:conn"]),
        ("refused = 2", "refused = 1", ["test_a.py::test: 2 attempts were refused, not 1"]),
        ("refused = 2", 'reason = "flaky"', ["test_a.py::test: because None, not flaky"]),
        ("refused = 2", "tried = []", ["test_a.py::test: tried ['alpha'], not []"]),
        ("refused = 2", 'outcome = ""', ["test_a.py::test: passed with the services, not None"]),
        ('"error"', '"failed"', ["test_a.py::test: error without the services, not failed"]),
        ("[tests", "complete = false\n[tests", ["the trial: complete is True"]),
    ],
)
def test_each_difference_of_a_trial_is_found(old: str, new: str, wrong: list[str], tmp_path: Path) -> None:
    (tmp_path / "scenario.toml").write_text(TRUE_VERDICT.replace(old, new, 1))
    assert [*differences_of_trial(load(tmp_path), TRIAL)] == wrong
