"""Sessions that leave out tests of files that they collect."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from hook.suites import Environment, Reported, run
from tracer.record.boundary.messages import Partial

SUITE = """
def test_a(): pass
@pytest.mark.skip
def test_b(): pass
def test_c(): pass
"""
REMOVES = "def pytest_collection_modifyitems(items): del items[0]"
REPORTS = """
def pytest_collection_modifyitems(config, items):
    config.hook.pytest_deselected(items=[items.pop()])
"""
REPORTS_NONE = """
def pytest_collection_modifyitems(config, items):
    config.hook.pytest_deselected(items=[])
    items.reverse()
"""
FAILS = "import pytest\n@pytest.hookimpl(tryfirst=True)\ndef pytest_runtest_call(item): assert item.name != 'test_a'"
STOPS = "import pytest\ndef pytest_runtest_teardown(item):\n    if item.name == 'test_a': pytest.exit('enough')"


def is_partial(reported: Reported) -> bool:
    assert not reported.off, reported.output
    return any(isinstance(message, Partial) for message in reported.messages())


@pytest.mark.parametrize(
    ("options", "conftest"),
    [
        (("-k", "test_a"), ""),
        (("-m", "skip"), ""),
        (("--deselect", "test_it.py::test_c"), ""),
        (("test_it.py::test_a",), ""),
        (("-x",), FAILS),
        ((), REMOVES),
        ((), REPORTS),
        ((), STOPS),
    ],
    ids=["keyword", "marker", "deselect", "node id", "stop", "silent plugin", "plugin", "exit"],
)
def test_a_session_that_leaves_out_tests_reports_it(
    environment: Environment, tmp_path: Path, options: tuple[str, ...], conftest: str
) -> None:
    assert is_partial(run(environment, tmp_path, SUITE, *options, conftest=conftest))


@pytest.mark.parametrize(
    ("options", "conftest"),
    [((), ""), (("test_it.py",), ""), (("-k", "test"), ""), ((), FAILS), ((), REPORTS_NONE)],
    ids=["all", "file", "keyword", "failure", "plugin"],
)
def test_a_session_that_runs_all_tests_reports_nothing(
    environment: Environment, tmp_path: Path, options: tuple[str, ...], conftest: str
) -> None:
    assert not is_partial(run(environment, tmp_path, SUITE, *options, conftest=conftest))


@pytest.mark.parametrize("lf", [True, False])
def test_a_session_of_the_last_failures_leaves_out_tests(environment: Environment, tmp_path: Path, lf: bool) -> None:
    cache = tmp_path / "suite" / ".pytest_cache" / "v" / "cache"
    conftest = f"""
    from pathlib import Path
    Path({str(cache)!r}).mkdir(parents=True, exist_ok=True)
    Path({str(cache / "lastfailed")!r}).write_text('{{"test_it.py::test_a": true}}')
    """
    options = ("-W", "default", "-p", "cacheprovider", "--lf" if lf else "--ff")
    reported = run(environment, tmp_path, SUITE, *options, conftest=conftest)
    assert len(reported.tests()) == (1 if lf else 3), reported.output
    assert is_partial(reported) == lf


@pytest.mark.parametrize("options", [("-k", "test_a"), ("test_it.py::test_a",), ()], ids=["keyword", "node id", "all"])
def test_the_workers_of_xdist_report_it(newest: Environment, tmp_path: Path, options: tuple[str, ...]) -> None:
    assert is_partial(run(newest, tmp_path, SUITE, "-n2", *options)) == bool(options)


def test_the_controller_of_xdist_reports_that_it_stops_early(newest: Environment, tmp_path: Path) -> None:
    assert is_partial(run(newest, tmp_path, SUITE, "-n1", "-x", conftest=FAILS))


@pytest.mark.parametrize("names", [["test_a"], ["test_a", "test_b", "test_c"], None], ids=str)
def test_a_trial_of_some_tests_is_partial(environment: Environment, tmp_path: Path, names: list[str] | None) -> None:
    nodeids = None if names is None else [f"test_it.py::{name}" for name in names]
    (tmp_path / "trial").write_text(json.dumps(nodeids))
    assert is_partial(run(environment, tmp_path, SUITE)) == (names == ["test_a"])
