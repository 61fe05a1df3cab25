from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from stored_reports import stored, svc_trace, using

from tracer.errors import ExitStatus

TERMINAL = """
svc-trace: 2 tests with other services, 1 new test, 1 test gone

By service
Service   Old  New  +/-
postgres    1    2   +1
kafka       0    2   +2
redis       1    0   -1

By tier
Tier         Old  New  +/-
no_services    1    0   -1
the_rest       1    2   +1

kafka: now used by 2 tests
  tier postgres_only -> the_rest (1)
    tests/a.py::x
  tier the_rest, as before (1)
    tests/a.py::y

redis: no longer used by 1 test
  tier the_rest, as before (1)
    tests/a.py::y

New: 1 test
  postgres (1)
    tests/a.py::new[\\n]

Gone: 1 test
  no services (1)
    tests/a.py::gone
"""
MARKDOWN = """
svc-trace: **2 tests with other services, 1 new test, 1 test gone**

### By service

| Service | Old | New | +/- |
| --- | ---: | ---: | ---: |
| postgres | 1 | 2 | +1 |
| kafka | 0 | 2 | +2 |
| redis | 1 | 0 | -1 |

### By tier

| Tier | Old | New | +/- |
| --- | ---: | ---: | ---: |
| no_services | 1 | 0 | -1 |
| the_rest | 1 | 2 | +1 |

### kafka: now used by 2 tests

tier postgres_only -\\> the_rest (1)

* `tests/a.py::x`

tier the_rest, as before (1)

* `tests/a.py::y`

### redis: no longer used by 1 test

tier the_rest, as before (1)

* `tests/a.py::y`

### New: 1 test

postgres (1)

* `tests/a.py::new[\\n]`

### Gone: 1 test

no services (1)

* `tests/a.py::gone`
"""


@pytest.fixture
def old(tmp_path: Path) -> str:
    tests = {
        "tests/a.py::x": using("postgres"),
        "tests/a.py::y": using("redis"),
        "tests/a.py::gone": using(),
    }
    return stored(tmp_path / "old.json", tests)


@pytest.fixture
def new(tmp_path: Path) -> str:
    tests = {
        "tests/a.py::x": using("kafka", "postgres"),
        "tests/a.py::y": using("kafka"),
        "tests/a.py::new[\n]": using("postgres"),
    }
    return stored(tmp_path / "new.json", tests)


def test_the_terminal_shows_what_changed(old: str, new: str) -> None:
    result = svc_trace("diff", old, new)
    assert result.return_value == 0
    assert re.sub(" +$", "", result.stdout, flags=re.MULTILINE) == TERMINAL


def test_markdown_shows_the_same(old: str, new: str) -> None:
    assert svc_trace("diff", old, new, "--format", "markdown").stdout == MARKDOWN


def test_json_has_everything(old: str, new: str) -> None:
    told = json.loads(svc_trace("diff", old, new, "--format", "json").stdout)
    assert told["schema"] == "svc-trace-diff/1"
    assert told["changed"]["tests/a.py::y"] == {
        "gained": ["kafka"],
        "lost": ["redis"],
        "old_tier": "the_rest",
        "new_tier": "the_rest",
        "old_outcome": "passed",
        "new_outcome": "passed",
    }
    assert told["added"] == {"tests/a.py::new[\n]": ["postgres"]}
    assert told["tiers"]["no_services"] == {"old": 1, "new": 0}


@pytest.mark.parametrize("form", ["terminal", "markdown", "json"])
def test_the_status_reports_differences_on_request(old: str, new: str, form: str) -> None:
    assert svc_trace("diff", old, new, "--format", form).return_value == 0
    assert svc_trace("diff", old, new, "--format", form, "--exit-code").return_value == ExitStatus.DIFFERENT
    assert svc_trace("diff", old, old, "--format", form, "--exit-code").return_value == 0


def test_equal_reports_have_no_difference(old: str) -> None:
    assert svc_trace("diff", old, old).stdout == "\nsvc-trace: no difference: the same 3 tests with the same services\n"


def test_incomplete_reports_are_noted(old: str, tmp_path: Path) -> None:
    lossy = stored(tmp_path / "lossy.json", {"tests/a.py::y": using()}, complete=False)
    assert "warning: the new report is not complete" in svc_trace("diff", old, lossy).stdout
    assert (
        "\n> **warning**: the old report is not complete"
        in svc_trace("diff", lossy, old, "--format", "markdown").stdout
    )


def test_long_lists_are_cut_short(old: str, tmp_path: Path) -> None:
    many = stored(tmp_path / "many.json", {f"tests/b.py::t{number}": using() for number in range(1234)})
    assert "\nNew: 1,234 tests\n  no services (1,234)\n" in svc_trace("diff", old, many).stdout
    for form in ("terminal", "markdown"):
        output = svc_trace("diff", old, many, "--format", form).stdout
        assert output.count("tests/b.py::") == 20
        assert " and 1,214 more\n" in output
    assert len(json.loads(svc_trace("diff", old, many, "--format", "json").stdout)["added"]) == 1234


def test_a_side_may_be_several_reports(old: str, new: str, tmp_path: Path) -> None:
    assert "New: 1 test" in svc_trace("diff", old, tmp_path / "[on][le][dw].json").stdout
