"""A run of a trial: only certain tests, and no failure ends the session."""

from __future__ import annotations

import json
from collections.abc import Collection
from pathlib import Path

import pytest

from hook.suites import Environment, Reported, run

SUITE = """
import pathlib, subprocess, sys
@pytest.mark.parametrize("word", ["a", "ä::b", "c@d"])
def test_words(word): pass
def test_fails(): assert 0
class TestIt:
    def test_it(self): pass
def test_that_runs_pytest(tmp_path):
    (tmp_path / "test_inner.py").write_text("def test_inner(): pass")
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", str(tmp_path)]
    assert "1 passed" in subprocess.run(command, capture_output=True, text=True).stdout
def test_that_runs_pytest_in_this_process(pytester):
    pytester.makepyfile("def test_inner(): pass")
    pytester.inline_run().assertoutcome(passed=1)
"""
CONFTEST = "pytest_plugins = ['pytester']"
NAMES = [
    *("test_words[a]", "test_words[\\xe4::b]", "test_words[c@d]", "test_fails", "TestIt::test_it"),
    *("test_that_runs_pytest", "test_that_runs_pytest_in_this_process"),
]


def trial(
    environment: Environment, directory: Path, names: Collection[str] | None, *options: str, source: str = SUITE
) -> Reported:
    nodeids = None if names is None else [f"test_it.py::{name}" for name in names]
    (directory / "trial").write_text(json.dumps(nodeids))
    return run(environment, directory, source, *options, conftest=CONFTEST)


def outer(reported: Reported) -> list[str]:
    """The tests that ran, without those of sessions that tests started."""
    names = [str(test.subject).partition("::") for test in reported.tests()]
    return [name for file, _, name in names if file == "test_it.py"]


@pytest.mark.parametrize("names", [NAMES, ["TestIt::test_it", NAMES[1], "missing"], NAMES[-2:], []], ids=len)
def test_it_runs_only_its_tests(environment: Environment, tmp_path: Path, names: list[str]) -> None:
    reported = trial(environment, tmp_path, names)
    ran = [name for name in NAMES if name in names]
    assert outer(reported) == ran, reported.output
    assert reported.status == (1 if "test_fails" in ran else 0 if ran else 5)
    deselected = f"{len(NAMES) - len(ran)} deselected" in reported.output
    assert deselected == (len(ran) < len(NAMES))
    assert not reported.off


@pytest.mark.parametrize("grouped", [(), ("--dist", "loadgroup")], ids=["plain", "grouped"])
def test_all_workers_of_xdist_deselect_the_same(newest: Environment, tmp_path: Path, grouped: tuple[str, ...]) -> None:
    source = "@pytest.mark.xdist_group('one')\n@pytest.mark.parametrize('n', range(9))\ndef test_a(n): assert n"
    source += "\ndef test_b(): pass" + SUITE
    names = ["test_a[0]", "test_a[1]", "test_a[7]", "test_b", *NAMES[-2:]]
    reported = trial(newest, tmp_path, names, "-n2", *grouped, source=source)
    assert sorted(outer(reported)) == sorted(names), reported.output
    assert reported.status == 1
    assert not reported.off


@pytest.mark.parametrize("workers", [(), ("-n2",)], ids=["one process", "two workers"])
@pytest.mark.parametrize("stop", ["-x", "--maxfail=1"])
def test_no_failure_ends_the_session(newest: Environment, tmp_path: Path, stop: str, workers: tuple[str, ...]) -> None:
    source = "@pytest.mark.parametrize('n', range(9))\ndef test_a(n): assert n > 7"
    (tmp_path / "trial").write_text("null")
    reported = run(newest, tmp_path, source, stop, *workers)
    assert len(outer(reported)) == 9, reported.output
    assert (reported.status, reported.off) == (1, False)


def test_a_failed_import_does_not_end_the_session(environment: Environment, tmp_path: Path) -> None:
    (tmp_path / "trial").write_text("null")
    break_import = """
    from pathlib import Path
    Path("test_broken.py").write_text("import missing")
    """
    reported = run(environment, tmp_path, "def test_a(): pass", conftest=break_import)
    assert outer(reported) == ["test_a"], reported.output
    assert "1 passed, 1 error" in reported.output
