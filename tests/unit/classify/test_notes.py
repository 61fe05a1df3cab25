"""The notes of the summary, from traces."""

from __future__ import annotations

import pytest
from msgspec.structs import replace
from suites import at_start, classification, evidence, result
from trace_builder import TraceBuilder, classified

from tracer.classify.findings import find
from tracer.classify.merge import merge
from tracer.classify.services.config import Config
from tracer.classify.services.rules import Rules
from tracer.reports.pages.notes import notes
from tracer.trace.endpoint import Endpoint
from tracer.trace.ids import SpanId

POSTGRES, REDIS = "tcp://127.0.0.1:5432", "tcp://127.0.0.1:6379"
TERMINATE, QUERY = b"X\0\0\0\4", b"Q\0\0\0\x0dSEL"
QUIT = b"*1\r\n$4\r\nQUIT\r\n"


class Suite(TraceBuilder):
    """A runner with an open session."""

    def __init__(self) -> None:
        super().__init__()
        self.runner = self.process()
        self.session = self.open("session", self.runner)

    def run(self, nodeid: str = "a.py::test") -> None:
        """A test that sends nothing."""
        self.finish(*self.test(nodeid, self.runner, self.session))


@pytest.fixture
def suite() -> Suite:
    return Suite()


def outside(suite: Suite, config: Config) -> str | None:
    return notes(classified(suite.trace(), config)).get("Outside of tests")


def test_sends_outside_of_tests_are_counted(suite: Suite, config: Config) -> None:
    suite.run()
    suite.send(REDIS, suite.session, connects=1, sends=3)
    suite.send(POSTGRES, suite.session, socket=2, connects=1, sends=1, heads=(QUERY,))
    assert outside(suite, config) == "redis (3 sends), postgres (1 send)"


@pytest.mark.parametrize(
    ("errno", "word"),
    [
        ("ECONNREFUSED", "refused"),
        ("ENOENT", "no such socket"),
        ("ETIMEDOUT", "timed out"),
        ("ENETUNREACH", "unreachable"),
        ("EPERM", "not permitted"),
        ("EADDRNOTAVAIL", "EADDRNOTAVAIL"),
    ],
)
def test_a_failed_attempt_outside_of_tests_says_how(suite: Suite, config: Config, errno: str, word: str) -> None:
    suite.send(POSTGRES, suite.session, connects=1, sends=0, errors={errno: 1})
    suite.run()
    assert outside(suite, config) == f"postgres ({word})"


def test_an_attempt_may_be_refused_before_sends(suite: Suite, config: Config) -> None:
    suite.run()
    suite.send(POSTGRES, suite.session, connects=1, sends=0, errors={"ECONNREFUSED": 1})
    suite.send("tcp://10.0.0.1:5432", suite.session, socket=2, connects=1, sends=2, heads=(QUERY,))
    assert outside(suite, config) == "postgres (2 sends, also refused)"


def test_a_connection_without_sends(suite: Suite, config: Config) -> None:
    suite.run()
    suite.send(POSTGRES, suite.session, connects=1, sends=0)
    assert outside(suite, config) == "postgres (connected)"


def used(suite: Suite) -> None:
    """A test that sends on socket 1."""
    test, call = suite.test("a.py::uses", suite.runner, suite.session)
    suite.send(POSTGRES, call, connects=1, heads=(QUERY,))
    suite.finish(test, call)


def test_goodbyes_after_the_last_test(suite: Suite, config: Config) -> None:
    used(suite)
    suite.send(POSTGRES, suite.session, heads=(TERMINATE,))
    assert outside(suite, config) == "postgres (goodbyes after the last test)"


def test_goodbyes_between_tests(suite: Suite, config: Config) -> None:
    used(suite)
    suite.send(POSTGRES, suite.session, heads=(TERMINATE,))
    suite.run()
    assert outside(suite, config) == "postgres (goodbyes)"


def test_goodbyes_of_merged_runs(suite: Suite, config: Config) -> None:
    """Their times are those of several runs."""
    used(suite)
    suite.send(POSTGRES, suite.session, heads=(TERMINATE,))
    one = classified(suite.trace(), config)
    other = replace(one, run=replace(one.run, started_at="2026-11-21T00:00:00Z"))
    assert notes(merge([one, other]))["Outside of tests"] == "postgres (goodbyes)"


def test_goodbyes_are_no_sends(suite: Suite, config: Config) -> None:
    used(suite)
    suite.send(REDIS, suite.session, socket=2, connects=1, sends=1)
    suite.send(POSTGRES, suite.session, heads=(TERMINATE,))
    assert outside(suite, config) == "redis (1 send), postgres (goodbyes after the last test)"


def test_the_runs_own_servers_are_not_listed_outside_of_tests(suite: Suite, config: Config) -> None:
    suite.listen(REDIS, suite.runner)
    suite.send(REDIS, suite.session, connects=1)
    suite.run()
    assert outside(suite, config) is None


def test_an_unknown_endpoint_is_described_by_its_listener() -> None:
    unknown = replace(evidence("unknown:tcp://127.0.0.1:7070"), listener="billing")
    tests = {
        "t.py::1": result([unknown.service], evidence=[unknown]),
        "t.py::2": result(["unknown:tcp://10.0.0.1:70"], evidence=[evidence("unknown:tcp://10.0.0.1:70")]),
    }
    one = replace(classification(tests, (), Rules()), run_evidence=(replace(unknown, phase=None),))
    assert notes(one) == {
        "Unknown endpoints": "tcp://127.0.0.1:7070 [billing] (1 test), tcp://10.0.0.1:70 (1 test)",
        "Outside of tests": "tcp://127.0.0.1:7070 [billing] (3 sends)",
    }


def test_an_unknown_service_is_described_by_its_host(suite: Suite, config: Config) -> None:
    suite.names("api.example.com", "10.0.0.1", "10.0.0.2")
    for nodeid, address in (("a.py::1", "10.0.0.1"), ("a.py::2", "10.0.0.2")):
        test, call = suite.test(nodeid, suite.runner, suite.session)
        suite.send(f"tcp://{address}:443", call, socket=len(suite.flows) + 1, connects=1)
        suite.finish(test, call)
    one = classified(suite.trace(), config)
    assert notes(one) == {"Unknown endpoints": "https://api.example.com (2 tests)"}
    assert [finding.subject for finding in find(one)] == ["https://api.example.com"]


def test_ambient_services_without_a_name_are_endpoints() -> None:
    tests = {"t.py::1": result(ambient=["redis", "unknown:tcp://10.0.0.1:70"]), "t.py::2": result(ambient=["redis"])}
    assert notes(classification(tests, (), Rules())) == {"Only ambient": "redis (2 tests), tcp://10.0.0.1:70 (1 test)"}


def serve(suite: Suite, nodeid: str, *endpoints: str) -> None:
    """A test that serves and reaches these endpoints."""
    test, call = suite.test(nodeid, suite.runner, suite.session)
    for endpoint in endpoints:
        suite.listen(endpoint, suite.runner)
        suite.send(endpoint, SpanId(call), socket=len(suite.flows) + 1, connects=1)
    suite.finish(test, call)


def test_unnamed_endpoints_of_the_run_itself_are_counted(suite: Suite, config: Config) -> None:
    serve(suite, "a.py::1", "tcp://127.0.0.1:41001", "unix:///tmp/pytest-of-me/a/s")
    serve(suite, "a.py::2", "tcp://127.0.0.1:41002", "unix:///tmp/b", REDIS)
    serve(suite, "a.py::3", "tcp://127.0.0.1:41002", "tcp://[::1]:41003", "unix://@own")
    suite.run("a.py::4")
    one = classified(suite.trace(), config)
    assert notes(one) == {
        "Self-hosted": "redis (1 test)",
        "Self-hosted, unnamed": "3 loopback ports, 2 sockets in /tmp, 1 abstract socket (3 tests)",
    }
    endpoints = {evidence.endpoint for test in one.tests.values() for evidence in test.evidence}
    assert len(endpoints) == 7, "the report has all"


@pytest.mark.parametrize(
    ("endpoint", "shown"),
    [
        ("tcp://10.0.0.5:41001", "1 port at other addresses"),
        ("udp://127.0.0.2:41001", "1 loopback port"),
        ("unix:///run/user/1000/s", "1 socket in /run"),
        ("unix:///s", "1 socket in /"),
        ("unix://s", "1 socket in the working directory"),
    ],
)
def test_kinds_of_unnamed_endpoints(endpoint: str, shown: str) -> None:
    own = replace(evidence(f"unknown:{endpoint}"), endpoint=Endpoint.parse(endpoint), self_hosted=True)
    tests = {"t.py::1": result(self_hosted=[own.service], evidence=[own])}
    assert notes(classification(tests, (), Rules())) == {"Self-hosted, unnamed": f"{shown} (1 test)"}


def test_what_no_session_begins_without_is_apart_from_the_rest() -> None:
    run_evidence = [at_start("postgres"), at_start("kafka", "db"), replace(evidence("redis"), phase=None)]
    found = notes(classification({"a.py::x": result()}, (), Rules(), run_evidence=run_evidence))
    assert found == {
        "Needed to begin": ("kafka (3 sends; only by those below db), postgres (3 sends); used before the first test"),
        "Outside of tests": "redis (3 sends)",
    }
