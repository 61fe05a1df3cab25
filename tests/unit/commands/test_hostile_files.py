"""Files that say what cannot be: each is one error with the slug of its kind, at once."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any, Final

import pytest
from msgspec.structs import replace
from stored_reports import stored, svc_trace, using

from tracer.classify.assumptions import matches_path
from tracer.classify.services.rules import AssumptionRule, Rules
from tracer.errors import ExitStatus, SvcTraceError
from tracer.record.boundary.packets import Decoder
from tracer.trace.checks import PROCESS_DEPTH, SPAN_DEPTH
from tracer.trace.file import SCHEMA
from tracer.trace.rows import RECORD_TYPES

AT_ONCE_S: Final = 20  # of CPU time; before, these took minutes or for ever
RUN: Final = ["run", ["pytest"], "libbpf", "6.18.0", 1763676000.0, 0, "/"]
DEEP: Final = "[" * 100_000 + "]" * 100_000


def flow(endpoint: str = "tcp://127.0.0.1:5432", **others: Any) -> list[Any]:  # noqa: ANN401 -- the fields of `Flow`
    fields = {"process": 1, "tid": 1, "socket": 1, "endpoint": endpoint, "spans": [1], "first_ns": 1, "last_ns": 1}
    fields |= {"sends": 1, "bytes": 1, "connects": 0, "established": 0, "network": 0, "peer": 0, "prefixes": []}
    fields |= others
    columns = [*RECORD_TYPES["flow"].__struct_fields__]
    assert list(fields)[: len(fields)] == columns[: len(fields)]
    return ["flow", *fields.values()]


def span(number: int, parent: int) -> list[Any]:
    return ["span", number, parent, 1, 1, "fixture", 0, 1, 1]


def failure(*arguments: str | Path) -> SvcTraceError:
    begin = time.process_time()
    error = svc_trace(*arguments).exception
    assert isinstance(error, SvcTraceError), repr(error)
    assert time.process_time() - begin < AT_ONCE_S
    return error


def trace(path: Path, *rows: str | list[Any]) -> Path:
    columns = {tag: record_type.__struct_fields__ for tag, record_type in RECORD_TYPES.items()}
    lines = (
        row if isinstance(row, str) else json.dumps(row) for row in ({"schema": SCHEMA, "columns": columns}, *rows)
    )
    path.write_text("".join(f"{line}\n" for line in map(str, lines)))
    return path


@pytest.mark.parametrize(
    ("rows", "problem"),
    [
        ([span(1, 2), span(2, 1), flow()], "span 1 lies in itself"),
        ([span(1, 1), flow()], "span 1 lies in itself"),
        ([span(one, one + 1) for one in range(1, SPAN_DEPTH + 10)], "lies in more than 1,000 others"),
        ([["process", 1, 2, 1, 0, "a"], ["process", 2, 1, 1, 0, "b"], flow()], "process 1 lies in itself"),
        ([["process", n, n - 1, 1, 0, ""] for n in range(1, PROCESS_DEPTH + 10)], "lies in more than 100,000 others"),
        ([flow(prefixes=["0g"])], "line 3: flow: '0g' is not hexadecimal"),
        ([flow(prefixes=["0"])], "line 3: flow: '0' is not hexadecimal"),
        ([flow(prefixes=[], heads={"xy": 1})], "line 3: flow: 'xy' is not hexadecimal"),
        ([flow("tcp://127.0.0.1:99999")], "line 3: flow: not an endpoint: 'tcp://127.0.0.1:99999'"),
        ([flow("tcp://1.2.3:4")], "'1.2.3' does not appear to be an IPv4 or IPv6 address"),
        ([flow("tcp://db.example:4")], "'db.example' does not appear to be an IPv4 or IPv6 address"),
        ([flow("tcp://[::1")], "line 3: flow: not an endpoint"),
        ([flow(first_ns=10**25)], "line 3: a number has more than 64 bits"),
        ([flow(heads={"00": 1 << 64})], "line 3: a number has more than 64 bits"),
        ([[*RUN[:4], 1e300, 0, "/"]], "line 3: run: there is no date for 1e+300"),
        ([[*RUN[:4], -1.0, 0, "/"]], "line 3: run: there is no date for -1.0"),
        ([f'["flow",{DEEP}]'], "line 3: not JSON"),
        ([f'["flow","\\ud800",{DEEP}]'], "line 3: not JSON"),
        (['["run",["\\ud800"],"b","k",NaN,0,"/"]'], "line 3: not JSON"),
        (['["run",["\\ud800"],"b","k",1e999,0,"/"]'], "line 3: not JSON"),
    ],
)
def test_a_trace_that_cannot_be(tmp_path: Path, rows: list[str | list[Any]], problem: str) -> None:
    error = failure("report", trace(tmp_path / "t", RUN, *rows))
    assert problem in error.message
    assert (error.slug, error.exit_code) == ("bad-trace", ExitStatus.BAD_INPUT)


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ('"total_tests": 1', f'"total_tests": {10**400}', "Expected `int` <= 9223372036854775807"),
        ('"duration_s":0.25', '"duration_s":1.7e308', "Expected `float` <= 1000000000000.0"),
        ('"attempts":1', '"attempts":-1', "Expected `int` >= 0"),
        ('"attempts":1', f'"attempts":1,"x":{DEEP}', "maximum recursion depth"),
        ('"attempts":1', f'"attempts":1,"x":["\\ud800",{DEEP}]', "maximum recursion depth"),
        ('"attempts":1', '"attempts":1,"x":["\\ud800",NaN]', "NaN is not JSON"),
        ('"attempts":1', '"attempts":1,"x":["\\ud800",1e999]', "a number is out of range"),
    ],
)
def test_a_report_that_cannot_be(tmp_path: Path, old: str, new: str, problem: str) -> None:
    path = Path(stored(tmp_path / "r", {"tests/a.py::x": using("postgres")}))
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    for arguments in (("report", path), ("merge", path, path, "-o", tmp_path / "merged")):
        error = failure(*arguments)
        assert problem in error.message
        assert (error.slug, error.exit_code) == ("bad-report", ExitStatus.BAD_INPUT)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("a" + ".a" * 400_000 + " = 1", "a key has more than 64 parts"),
        (r'"\"".' + "a." * 400_000 + "b = 1", "a key has more than 64 parts"),
        ("[" + "a." * 400_000 + "b]", "a key has more than 64 parts"),
        ("x = {" + "'a' . " * 150_000 + "b = 1}", "a key has more than 64 parts"),
        ("#" * (2 << 20), "more than 1 MB"),
        ('extends = ["django", "django"]', "the preset 'django' again"),
        ('[services.x]\nunix = ["/run/[a"]', "a `[` without its `]`"),
        ('[services.x]\nhosts = ["10.[0"]', "a `[` without its `]`"),
        ('[assumptions.postgres]\npaths = ["tests/[!]a"]', "a `[` without its `]`"),
        ('[[contracts]]\npath = "tests/[]a"\nservices = "some"', "a `[` without its `]`"),
        ('[variants]\nparameters = ["[a"]', "a `[` without its `]`"),
        (f'[variants]\nparameters = ["{"*a" * 1000}"]', "the glob is too long"),
        (f"[services.x]\nports = [0x{'f' * 100_000}]", "ports"),
        (f"[assumptions.postgres]\nin_class = 0x{'f' * 100_000}", "in_class"),
        (f'[services.x]\nprotocol = "{"p" * 500_000}"', "there is no protocol 'pppp"),
    ],
)
def test_a_configuration_that_cannot_be(tmp_path: Path, text: str, problem: str) -> None:
    path = tmp_path / "svc-trace.toml"
    path.write_text(text)
    error = failure("validate", "x", "--config", path)
    assert problem in error.message
    assert len(error.message) < 2100
    assert error.exit_code == ExitStatus.BAD_CONFIG


def test_a_report_without_the_check_of_one_of_its_rules(tmp_path: Path) -> None:
    """Found by scripts/fuzz: `validate` ended with a KeyError."""
    rules = Rules(assumptions={"kafka": AssumptionRule(in_class=True)})
    path = Path(stored(tmp_path / "r", {"tests/a.py::x": using("kafka")}, rules))
    text = path.read_text()
    path.write_text(text.replace('"blind_spots": [\n        "tests/a.py::x"', '"blind_spots": [\n        "y"'))
    assert svc_trace("validate", path).exception is None
    path.write_text(text.replace('"kafka": {\n      "confirmed"', '"kafkb": {\n      "confirmed"'))
    error = failure("validate", path)
    assert "validation: there is none of 'kafka'" in error.message
    assert error.slug == "bad-report"


def test_a_report_whose_sums_contradict_each_other(tmp_path: Path) -> None:
    """Found by scripts/fuzz: `report` divided by the number of tests."""
    path = Path(stored(tmp_path / "r", {"tests/a.py::x": using("postgres")}))
    text = path.read_text()
    assert text.count('"total_tests": 1') == 1
    path.write_text(text.replace('"total_tests": 1', '"total_tests": 0'))
    assert svc_trace("report", path).exception is None


def test_a_report_with_a_self_hosted_service_that_is_no_endpoint(tmp_path: Path) -> None:
    """Found by scripts/fuzz: the summary parsed the service's name."""
    own = replace(using("unknown:tcp://127.0.0.1:9"), self_hosted=("unknown:",))
    assert svc_trace("report", stored(tmp_path / "r", {"tests/a.py::x": own})).exception is None


def test_a_test_that_is_assumed_to_use_a_service_by_no_entry(tmp_path: Path) -> None:
    """Found by scripts/fuzz: `explain` ended with a traceback."""
    rules = Rules(assumptions={"kafka": AssumptionRule(fixtures=frozenset({"kafka"}))})
    path = Path(stored(tmp_path / "r", {"tests/a.py::x": using("kafka", assumed=("kafka",))}, rules))
    report = json.loads(path.read_text())
    report["facts"] = [{"path": "tests/a.py", "fixtures": [], "markers": [], "bases": []}]
    report["tests"]["tests/a.py::x"]["facts"] = 0
    path.write_text(json.dumps(report))
    ended = svc_trace("explain", path, "tests/a.py::x")
    assert ended.exception is None
    assert "The rules claim that it uses kafka. It does." in ended.output


def test_a_glob_takes_no_time_with_the_power_of_its_stars() -> None:
    begin = time.process_time()
    assert not matches_path("a/" * 500 + "b", "**/a/" * 100 + "c")
    assert matches_path("a/" * 5000 + "b", "**/" * 100 + "b")
    assert time.process_time() - begin < AT_ONCE_S


def test_a_pattern_with_an_unclosed_bracket_is_one_error(tmp_path: Path) -> None:
    assert failure("merge", tmp_path / "[a", "-o", tmp_path / "m").slug == "no-reports"


def test_a_message_shows_nothing_that_a_terminal_would_obey(tmp_path: Path) -> None:
    path = Path(stored(tmp_path / "r", {"tests/a.py::\x1b[2J\ud800": using("postgres")}))
    path.write_text(path.read_text().replace('"facts":null', '"facts":3'))
    message = failure("report", path).message
    assert message.isprintable()
    assert r"\x1b[2J\ud800" in message


def test_a_deep_line_in_the_fifo_is_only_malformed() -> None:
    """Found by scripts/fuzz."""
    decoder = Decoder()
    for line in (b"[" * 4000, b"[1,2,3,4," + b"[" * 4000):
        assert decoder.feed(line + b"\n") == []
    assert decoder.malformed == 2
