from __future__ import annotations

import io
import re
from pathlib import Path
from typing import Any

import large_suite
import pytest
import suites
from large_suite import SEEN
from msgspec.structs import replace
from rich.console import Console
from suites import result

from tracer.classify.model import Classification, Summary, Variants
from tracer.classify.services.config import load_config
from tracer.classify.services.rules import Rules
from tracer.classify.via import Via
from tracer.reports.formats.terminal import print_page
from tracer.reports.pages.summary import SummaryDocument
from tracer.reports.text import counted, duration, percent
from tracer.trace.records import RunWarning

ESCAPE = "\x1b["

SUMMARY = """
svc-trace: 2,000 tests in 14 min 32 s, traced by libbpf: complete
           1,973 passed, 4 failed, 23 skipped

Service        Tests     %    Tier            Tests    %
postgres       2,000  100%    no_services         0   0%
redis          1,000   50%    postgres_only     800  40%
snuba            400   20%    snuba_tier        400  20%
kafka            286   14%    other_services    800  40%
redis-cluster     50  2.5%
symbolicator      14  0.7%
objectstore       10  0.5%
bigtable           8  0.4%
clickhouse         7  0.3%
memcached          5  0.2%
smtp               4  0.2%
statsd             2  0.1%
(unknown)          7  0.3%

Unknown endpoints  tcp://10.0.3.0:7000 (1 test), tcp://10.0.3.1:7001 (1 test),
                   tcp://10.0.3.2:7002 (1 test), tcp://10.0.3.3:7003 (1 test),
                   tcp://10.0.3.4:7004 (1 test), and 2 more
Self-hosted        http (20 tests)
Only ambient       kafka (286 tests)
Outside of tests   postgres (31 sends), redis (1 send)

Assumptions  Confirmed  Blind spots  Over-assumptions
postgres         2,000            0                 0
kafka               20          266                 2

report: svc-trace.json
"""


@pytest.fixture
def sample() -> Classification:
    return large_suite.classification()


def printed(
    classification: Classification,
    *,
    width: int = 80,
    encoding: str = "utf-8",
    terminal: bool = False,
    list_tests: tuple[str, ...] | None = None,
    depth: int | None = None,
    report: Path | None = None,
) -> str:
    """What a terminal of that width and encoding gets."""
    stream = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    console = Console(file=stream, width=width, force_terminal=terminal, color_system="standard" if terminal else None)
    print_page(SummaryDocument(classification, list_tests, depth, report).page(), console)
    stream.seek(0)
    return stream.read()


def lines_with(text: str, output: str) -> list[str]:
    return [line for line in output.splitlines() if text in line]


@pytest.fixture
def small(sample: Classification) -> Classification:
    """The sample with one test only."""
    nodeid, test = next(iter(sample.tests.items()))
    return replace(sample, tests={nodeid: test}, summary=Summary(1, {"postgres": 1}, {"postgres_only": 1}))


def test_the_summary_at_80_columns(sample: Classification) -> None:
    assert printed(sample, report=Path("svc-trace.json")) == SUMMARY


def combined() -> Classification:
    """Ten combinations: no service (1 test), postgres (2 tests), and s1 to s8, each of as many tests as its number."""
    used = [(), *[("postgres",)] * 2, *((f"s{n}",) for n in range(1, 9) for _ in range(n))]
    tests = {f"t.py::{number}": result(services) for number, services in enumerate(used)}
    return suites.classification(tests, (), Rules())


def test_without_tiers_the_largest_combinations_are_shown() -> None:
    output = printed(combined(), width=120, report=Path("r.json"))
    shown = re.findall(r"^(\S+) +(\d+)  svc-trace select r.json --exactly (\S+)$", output, re.MULTILINE)
    assert shown == [
        *((f"s{n}", str(n), f"s{n}") for n in (8, 7, 6, 5, 4, 3)),
        ("postgres", "2", "postgres"),
        ("s2", "2", "s2"),
    ]
    assert lines_with("and 2 more combinations (2 tests)", output)
    assert "Tier" not in output


def test_on_a_narrow_terminal_the_commands_are_below_and_unbroken() -> None:
    output = printed(combined(), width=40, report=Path("r.json"))
    assert "\nCombination  Tests\ns8               8\ns7               7\n" in output
    commands = "\nTo print its tests:\n  svc-trace select r.json --exactly s8\n  svc-trace select r.json --exactly s7\n"
    assert commands in output


def test_one_combination_more_is_one() -> None:
    one = combined()
    nine = suites.classification({name: test for name, test in one.tests.items() if test.services}, (), Rules())
    assert lines_with("and 1 more combination (1 test)", printed(nine))


def test_the_presets_tiers_are_not_shown(tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    default = load_config(None, tmp_path).rules
    output = printed(suites.classification({"t.py::1": result(["postgres"])}, (), default), depth=1)
    assert not re.search("tier|postgres_only", output, re.IGNORECASE)
    assert lines_with("svc-trace select REPORT --exactly postgres", output)


def test_ascii_terminals_get_the_same(sample: Classification) -> None:
    assert printed(sample, encoding="ascii", report=Path("svc-trace.json")) == SUMMARY


@pytest.mark.parametrize("width", [60, 80, 200])
def test_nothing_is_wider_than_the_terminal_or_lost_on_it(sample: Classification, width: int) -> None:
    output = printed(sample, width=width)
    assert max(map(len, output.splitlines())) <= width
    words = set(SUMMARY.removesuffix("report: svc-trace.json\n").split())
    assert words <= set(output.split())


@pytest.mark.parametrize("width", [60, 80, 200])
def test_no_line_ends_in_blanks(sample: Classification, width: int) -> None:
    output = printed(sample, width=width, depth=3, list_tests=("redis",), report=Path("svc-trace.json"))
    assert [line for line in output.splitlines() if line.endswith(" ")] == []


def test_a_name_that_ends_in_blanks_can_be_copied(small: Classification) -> None:
    ((_, test),) = small.tests.items()
    output = printed(replace(small, tests={"t.py::test[a ": test}), list_tests=("postgres",))
    assert "    t.py::test[a " in output.splitlines()


def test_colours_are_for_terminals_only(sample: Classification) -> None:
    assert ESCAPE not in printed(sample)
    assert ESCAPE in printed(sample, terminal=True)


def test_no_color_is_obeyed(sample: Classification, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    colours = re.compile(r"\x1b\[[\d;]*3[0-7]")
    assert not colours.search(printed(sample, terminal=True))
    monkeypatch.delenv("NO_COLOR")
    assert colours.search(printed(sample, terminal=True))


@pytest.mark.parametrize(
    ("changes", "shown"),
    [
        ({"lost_events": 1204}, "1,204 events lost: tests may use more services than this report shows. Run it again"),
        ({"exit_status": None}, "The trace was cut off: what came later is missing. Run it again."),
        ({}, "Some of the hook's messages were lost. Read the warnings below."),
    ],
)
def test_an_incomplete_run_says_so_and_what_to_do(small: Classification, changes: dict[str, Any], shown: str) -> None:
    output = printed(replace(small, run=replace(small.run, complete=False, **changes)), width=200)
    assert lines_with("svc-trace:", output)[0].endswith(": NOT COMPLETE")
    assert lines_with(shown, output)


def test_warnings_are_shown_with_their_slugs(small: Classification) -> None:
    warning = RunWarning("no-hook", "no [bold]pytest[/bold] reported")
    output = printed(replace(small, run=replace(small.run, warnings=(warning,))))
    assert lines_with("warning: no [bold]pytest[/bold] reported [no-hook]", output)


def test_variants_that_differ_are_listed(small: Classification) -> None:
    differing = {
        f"t.py::test_{n}": {f"t.py::test_{n}[A]": (), f"t.py::test_{n}[B\x1b]": ("kafka", "redis")} for n in range(7)
    }
    output = printed(replace(small, variants=Variants(1200, differing)))
    assert lines_with("Variants: 1,200 tests compared, 7 use different services", output)
    assert lines_with("    t.py::test_4[A]: none", output)
    assert lines_with("    t.py::test_4[B\\x1b]: kafka, redis", output)
    assert lines_with("and 2 more tests", output)
    assert not lines_with("t.py::test_5", output)
    output = printed(replace(small, variants=Variants(1, {})))
    assert lines_with("Variants: 1 test compared, 0 use different services", output)


def test_a_run_without_tests_has_no_tables(sample: Classification) -> None:
    output = printed(replace(sample, tests={}, summary=Summary(0, {}, {}), validation={}))
    assert "svc-trace: no tests in 14 min 32 s" in output
    assert "Service" not in output
    assert lines_with("Outside of tests", output)


def test_a_services_tests_are_listed_by_how_they_use_it(small: Classification) -> None:
    test = next(iter(small.tests.values()))
    inherited = replace(SEEN, how="inherited", via=Via("fixture", "db"), phase="setup")
    refused = replace(SEEN, strength="attempted", errno="ECONNREFUSED")
    tests = {
        "a.py::one": replace(test, evidence=(inherited, replace(SEEN, phase="setup"), SEEN)),
        "a.py::two": replace(test, evidence=(SEEN,)),
        "a.py::" + "long" * 50: replace(test, evidence=(SEEN, replace(SEEN, service="redis"))),
        "a.py::refused": replace(test, evidence=(refused,)),
        "a.py::leak": replace(test, evidence=(replace(SEEN, how="ambient", thread="other"),)),
        "a.py::nothing": replace(test, evidence=()),
    }
    output = printed(replace(small, tests=tests, summary=Summary(6, {"postgres": 4}, {})), list_tests=("postgres",))
    listing, summary = output.split("\nsvc-trace:")
    assert "Service" in summary
    assert (
        listing
        == f"""
postgres: 4 tests, and 1 test with only ambient or self-hosted evidence, or goodbyes
  direct in call (2)
    a.py::two
    a.py::{"long" * 50}
  inherited from fixture db (defined in a plugin or the top conftest.py) in setup; direct in setup, call (1)
    a.py::one
  direct in call (attempted: ECONNREFUSED) (1)
    a.py::refused
  ambient in call (another thread or process) (1)
    a.py::leak
"""
    )


def test_all_services_are_listed_on_request(sample: Classification) -> None:
    output = printed(sample, list_tests=())
    assert lines_with("statsd: 2 tests", output)
    assert lines_with("unknown:tcp://10.0.3.6:7006: 1 test", output)


def test_unnamed_endpoints_of_the_run_itself_are_listed_only_by_name(small: Classification) -> None:
    test = next(iter(small.tests.values()))
    own, other = "unknown:tcp://127.0.0.1:41000", "unknown:tcp://10.0.0.1:70"
    seen = (replace(SEEN, service=own, self_hosted=True), replace(SEEN, service="redis", self_hosted=True))
    one = replace(small, tests={"a.py::x": replace(test, evidence=(*seen, replace(SEEN, service=other)))})
    assert not lines_with(own, printed(one, list_tests=()))
    assert lines_with(f"{other}: 0 tests", printed(one, list_tests=()))
    assert lines_with("redis: 0 tests", printed(one, list_tests=()))
    assert lines_with(f"{own}: 0 tests, and 1 test", printed(one, list_tests=(own,)))


def test_a_service_that_no_test_used_has_no_tests(small: Classification) -> None:
    assert lines_with("kafkaa: 0 tests", printed(small, list_tests=("kafkaa",)))


@pytest.mark.parametrize(
    ("encoding", "shown"),
    [("utf-8", r"é→\udce9\n\x1b[31m[red]"), ("ascii", r"\xe9\u2192\udce9\n\x1b[31m[red]")],
)
def test_node_ids_cannot_disturb_the_terminal(small: Classification, encoding: str, shown: str) -> None:
    test = next(iter(small.tests.values()))
    odd = replace(small, tests={"é→\udce9\n\x1b[31m[red]": test})
    assert f"    {shown}" in printed(odd, encoding=encoding, list_tests=("postgres",)).splitlines()


def test_the_use_of_a_directorys_tests_is_shown_on_request(sample: Classification) -> None:
    assert """
tests/sentry  2,000 tests
  postgres 2,000 (100%), redis 1,000 (50%), snuba 400 (20%), kafka 286 (14%),
  redis-cluster 50 (2.5%), and 8 more
  snuba_tier 400 (20%), other_services 1,600 (80%)

""" in printed(sample, depth=2)


def test_all_unknown_endpoints_of_a_directory_are_one_service() -> None:
    used = [("unknown:tcp://10.0.0.1:1", "unknown:tcp://10.0.0.1:2"), ("postgres", "unknown:tcp://10.0.0.1:2"), ()]
    tests = {f"a/t.py::{number}": result(services) for number, services in enumerate(used)}
    output = printed(suites.classification(tests, (), Rules()), depth=1)
    assert "\na  3 tests\n  (unknown) 2 (67%), postgres 1 (33%)\n" in output


def test_the_runs_behind_a_merged_report_are_counted(sample: Classification) -> None:
    assert "2,000 tests of 22 runs in" in printed(replace(sample, runs=(sample.run,) * 22))


@pytest.mark.parametrize(
    ("part", "whole", "shown"),
    [
        (0, 0, "0%"),
        (0, 7, "0%"),
        (7, 7, "100%"),
        (72, 100, "72%"),
        (45, 1000, "4.5%"),
        (995, 10_000, "10%"),
        (994, 10_000, "9.9%"),
        (1, 1000, "0.1%"),
        (1, 1001, "<0.1%"),
        (9999, 10_000, ">99%"),
        (99, 100, "99%"),
        (1, 0, "-"),
    ],
)
def test_percent(part: int, whole: int, shown: str) -> None:
    assert percent(part, whole) == shown


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (0.0, "0 ms"),
        (0.0994, "99 ms"),
        (9.99, "9.99 s"),
        (9.996, "10 s"),
        (59.6, "1 min 0 s"),
        (872.4, "14 min 32 s"),
        (7260, "2 h 1 min"),
    ],
)
def test_duration(seconds: float, shown: str) -> None:
    assert duration(seconds) == shown


@pytest.mark.parametrize(
    ("count", "unit", "shown"),
    [
        (1, "test", "1 test"),
        (0, "test", "0 tests"),
        (2329, "test", "2,329 tests"),
        (1, "pytest process", "1 pytest process"),
        (2, "pytest process", "2 pytest processes"),
    ],
)
def test_counted(count: int, unit: str, shown: str) -> None:
    assert counted(count, unit) == shown
