from __future__ import annotations

import io
import json
from pathlib import Path
from typing import get_args

import pytest
from rich.console import Console
from suites import verdict, verification

from tracer.classify.model import Reason, Verification
from tracer.reports.formats import FORMATS, formats_for, markdown
from tracer.reports.formats.terminal import print_page
from tracer.reports.pages.verify import VerifyDocument
from tracer.reports.verdict_text import any_of, reason_text, through_text

TESTS = {
    "tests/a.py::test_cached": verdict("needs", "redis", refused=1),
    "tests/a.py::test_pool[1]": verdict("needs", "redis", refused=1, through="fixture:pool@tests"),
    "tests/a.py::test_pool[2]": verdict("needs", "redis", refused=1, through="fixture:pool@tests"),
    "tests/b.py::test_new": verdict("undecided", reason="missing-with", outcome_with=None),
    "tests/b.py::test_random": verdict("undecided", "redis", reason="flaky"),
    "tests/c.py::test_odd": verdict("needs"),
    **{
        f"tests/d.py::test_{number:02}": verdict(
            "tolerates",
            "redis",
            refused=3,
            through="fixture:flush",
            duration_with_s=0.25,
            duration_without_s=0.25 + (number if number > 1 else 0.1),
        )
        for number in range(14)
    },
    "tests/e.py::test_plain": verdict("unaffected", duration_with_s=0.1, duration_without_s=9.0),
}
PAGE = """
svc-trace: 4 of 21 tests need redis
           1 run with, 1 run without

Verdict     Tests     %  These tests
needs           4   19%  pass with redis, but not without
tolerates      14   67%  use redis, and also pass without
unaffected      1  4.8%  do not use redis, and pass
undecided       2  9.5%  see below

Refused through                  Need  Tolerate
fixture flush                       0        14
the test itself                     2         0
fixture pool (defined in tests)     2         0

Need redis: 4 tests
  the test itself (2)
    tests/a.py::test_cached
    tests/c.py::test_odd
  fixture pool (defined in tests) (2)
    tests/a.py::test_pool[1]
    tests/a.py::test_pool[2]

Undecided: 2 tests
  not in the run with the services (1)
    tests/b.py::test_new
  flaky: equal runs had different outcomes (1)
    tests/b.py::test_random

Slower without redis: 12 tests, 1 min 30 s in all
    tests/d.py::test_13: 0.25 s -> 13 s
    tests/d.py::test_12: 0.25 s -> 12 s
    tests/d.py::test_11: 0.25 s -> 11 s
    tests/d.py::test_10: 0.25 s -> 10 s
    tests/d.py::test_09: 0.25 s -> 9.25 s
    tests/d.py::test_08: 0.25 s -> 8.25 s
    tests/d.py::test_07: 0.25 s -> 7.25 s
    tests/d.py::test_06: 0.25 s -> 6.25 s
    tests/d.py::test_05: 0.25 s -> 5.25 s
    tests/d.py::test_04: 0.25 s -> 4.25 s
    and 2 more

Surprises: 1 test failed without redis, but did not use it
Either svc-trace missed a use: please report it. Or the tests depend on others:
run them alone.
    tests/c.py::test_odd

report: svc-trace-verify.json
"""


def printed(one: Verification, output: Path | None = None) -> str:
    console = Console(file=io.StringIO(), width=80)
    print_page(VerifyDocument(one, output).page(), console)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_the_page_has_the_verdicts_and_what_to_look_at() -> None:
    assert printed(verification(TESTS, "redis"), Path("svc-trace-verify.json")) == PAGE


def test_the_same_in_markdown() -> None:
    text = "".join(markdown.render(VerifyDocument(verification(TESTS, "redis")).page()))
    assert "svc-trace: **4 of 21 tests need redis**" in text
    assert "| **tolerates** | 14 | 67% | use redis, and also pass without |" in text
    assert "| fixture flush | 0 | 14 |" in text
    assert "* `tests/d.py::test_13`: 0.25 s -\\> 13 s" in text


def test_the_json_has_all_tests() -> None:
    document = VerifyDocument(verification(TESTS, "redis"))
    assert list(json.loads(b"".join(document.json()))["tests"]) == list(TESTS)


def test_several_services_are_named_and_many_are_counted() -> None:
    tests = {"a": verdict("needs", "kafka")}
    text = printed(verification(tests, "(unknown)", "kafka", "redis", runs_without=3))
    assert "svc-trace: 1 of 1 test needs endpoints without a name, kafka or redis\n" in text
    assert "           refused: endpoints without a name, kafka and redis; 1 run with, 3\n" in text
    assert "Need one of 4 services: 1 test\n" in printed(verification(tests, "a", "b", "c", "d"))


def test_if_nothing_needs_it_there_are_no_lists() -> None:
    text = printed(verification({"a": verdict("unaffected")}, "redis"))
    assert text == (
        "\nsvc-trace: 0 of 1 test need redis\n           1 run with, 1 run without\n\n"
        "Verdict     Tests     %  These tests\nunaffected      1  100%  do not use redis, and pass\n"
    )
    assert printed(verification({}, "redis")).startswith("\nsvc-trace: 0 of 0 tests need redis\n")


def test_a_run_that_is_not_complete_is_a_warning() -> None:
    assert "warning: a run is not complete" in printed(verification(TESTS, "redis", complete=False))


def test_many_fixtures_are_cut_and_counted() -> None:
    tests = {f"a.py::{number}": verdict("needs", "redis", through=f"fixture:f{number:02}") for number in range(13)}
    text = printed(verification(tests, "redis"))
    assert text.count("and through 3 more (3 tests)\n") == 2
    assert "  fixture f09 (1)\n" in text
    assert "f10" not in text


@pytest.mark.parametrize(
    ("through", "text"),
    [
        (None, "the test itself"),
        ("session", "what pytest does outside of tests"),
        ("module:tests/a.py", "the import of tests/a.py"),
        ("fixture:_django_db_helper", "fixture db"),
        ("fixture:pool@", "fixture pool (defined in a plugin or the top conftest.py)"),
        ("fixture:pool@tests/a.py::A", "fixture pool (defined in tests/a.py::A)"),
    ],
)
def test_through_what_in_words(through: str | None, text: str) -> None:
    assert through_text(verdict("needs", through=through)) == text


def test_every_reason_has_words() -> None:
    assert len({reason_text(reason) for reason in (None, *get_args(Reason))}) == 1 + len(get_args(Reason))


def test_alternatives_in_words() -> None:
    assert any_of(["redis"]) == "redis"
    assert any_of(["band and co", "redis"]) == "band and co or redis"
    assert any_of(["a", "b", "c"]) == "a, b or c"


@pytest.mark.parametrize("name", [form.name for form in formats_for(VerifyDocument)])
def test_formats_of_any_document_print_it(name: str) -> None:
    buffer = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    FORMATS[name].print(VerifyDocument(verification(TESTS, "redis")), buffer)
    buffer.seek(0)
    assert b"svc-trace" in buffer.buffer.read()
