"""The imports of conftest files: their spans, and the directories whose tests need what they do."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from hook.suites import Environment, Reported, run
from tracer.record.boundary.messages import Below, Close, Open

TEST = "def test_a(): pass"


def write(directory: Path, files: Mapping[str, str]) -> None:
    for name, content in files.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)


def directories(reported: Reported) -> list[str]:
    """The directories of the conftests, in the order of their imports; `+` before those that a session imported."""
    assert not reported.off, reported.output
    assert (reported.lost, reported.malformed) == (0, 0)
    found: list[str] = []
    open_: set[int] = set()
    sessions = 0
    for message in reported.messages():
        match message:
            case Open(kind="session"):
                sessions += 1
            case Open(span=span, kind="conftest", subject=subject):
                assert subject == "."
                open_.add(span)
            case Below(span, directory):
                assert span in open_
                found.append("+" * sessions + directory)
            case Close(span):
                open_.discard(span)
    assert not open_
    return found


def test_each_conftest_has_its_directory(environment: Environment, tmp_path: Path) -> None:
    suite = {
        "suite/pytest.ini": "[pytest]",
        **{f"suite/{name}/conftest.py": "import json" for name in ("tests", "tests/a", "tests/a/b", "tests/c")},
        **{f"suite/{name}/test_{name[-1]}.py": TEST for name in ("tests/a", "tests/a/b", "tests/c")},
    }
    write(tmp_path, suite)
    reported = run(environment, tmp_path, TEST)
    assert sorted(directories(reported)) == ["+tests/a", "+tests/a/b", "+tests/c", ".", "tests"], reported.output


@pytest.mark.parametrize(
    ("conftest", "directory"),
    [
        ("import json, wave", "tests/db"),
        ("import app", "."),
        ("import tests.db.own", "tests/db"),
        ("import tests.shared", "tests"),
        ("import pathlib; import outside", "."),
        ("import app_imported_before", "tests/db"),
        ("import sys, types; sys.modules['odd'] = 3; sys.modules['new'] = types.ModuleType('new')", "tests/db"),
    ],
)
def test_what_its_import_loads_decides_the_directory(
    environment: Environment, tmp_path: Path, conftest: str, directory: str
) -> None:
    """Others may import the same modules, which are run only once."""
    write(
        tmp_path,
        {
            "suite/pytest.ini": "[pytest]",
            "suite/app.py": "",
            "suite/app_imported_before.py": "",
            "outside.py": "",
            "suite/tests/__init__.py": "",
            "suite/tests/shared.py": "",
            "suite/tests/db/__init__.py": "",
            "suite/tests/db/own.py": "",
            "suite/tests/db/conftest.py": conftest,
            "suite/tests/db/test_db.py": TEST,
        },
    )
    top = f"import sys; sys.path.append({str(tmp_path)!r}); import app_imported_before"
    reported = run(environment, tmp_path, TEST, conftest=top)
    assert reported.status == 0, reported.output
    assert directories(reported) == [".", "+" + directory]


def test_a_package_with_code_is_needed_by_all_its_tests(environment: Environment, tmp_path: Path) -> None:
    write(
        tmp_path,
        {
            "suite/pytest.ini": "[pytest]",
            "suite/tests/__init__.py": "connection = None",
            "suite/tests/db/__init__.py": "",
            "suite/tests/db/conftest.py": "",
            "suite/tests/db/test_db.py": TEST,
        },
    )
    assert directories(run(environment, tmp_path, TEST)) == [".", "+tests"]


@pytest.mark.parametrize("options", [("db",), ("--rootdir=..", "db"), ("--rootdir=db", "--confcutdir=.", ".")], ids=str)
def test_directories_are_relative_to_the_rootdir(
    environment: Environment, tmp_path: Path, options: tuple[str, ...]
) -> None:
    write(tmp_path, {"suite/db/conftest.py": "", "suite/db/test_db.py": TEST})
    reported = run(environment, tmp_path, TEST, *options)
    expected = {"db": [".", "db"], "--rootdir=..": ["suite", "suite/db"], "--rootdir=db": [".", "+."]}[options[0]]
    assert directories(reported) == expected, reported.output


def test_a_conftest_that_fails_is_closed(environment: Environment, tmp_path: Path) -> None:
    reported = run(environment, tmp_path, TEST, conftest="raise ValueError('of the suite')")
    assert directories(reported) == ["."]
    assert "ValueError: of the suite" in reported.output
    assert "svc_trace_hook" not in reported.output


def test_the_workers_of_xdist_import_theirs(newest: Environment, tmp_path: Path) -> None:
    write(tmp_path, {"suite/pytest.ini": "[pytest]", "suite/db/conftest.py": "", "suite/db/test_db.py": TEST})
    reported = run(newest, tmp_path, TEST, "-n2")
    assert reported.status == 0, reported.output
    assert sorted(one.lstrip("+") for one in directories(reported)) == [".", ".", ".", "db", "db"]


def test_no_conftest_no_span(environment: Environment, tmp_path: Path) -> None:
    assert directories(run(environment, tmp_path, TEST, "--noconftest")) == []


def test_a_pytest_without_the_function_that_imports_them(environment: Environment, tmp_path: Path) -> None:
    source = f"from _pytest.config import PytestPluginManager\ndel PytestPluginManager._importconftest\n{TEST}"
    reported = run(environment, tmp_path, source, "-p", "test_it", "--noconftest", "--assert=plain")
    assert [test.subject for test in reported.tests()] == ["test_it.py::test_a"], reported.output
    assert directories(reported) == []
