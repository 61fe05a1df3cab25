"""Attribution by cause: what an older thread sends belongs to the test that asked for it."""

from __future__ import annotations

from struct import pack

import pytest
from trace_builder import TraceBuilder, classified

from tracer.classify.model import TestResult
from tracer.classify.services.config import Config

POSTGRES = "tcp://127.0.0.1:5432"
KAFKA = "tcp://127.0.0.1:9092"
PRODUCE, METADATA = (pack(">ihh", 40, key, 7) for key in (0, 3))
API_VERSIONS = pack(">ihhi", 40, 18, 3, 1) + pack(">h", 7) + b"rdkafka" + bytes(15)
OLDER = 7  # a thread that an earlier test started


class Suite(TraceBuilder):
    """A runner with an open session, and a test that leaves a thread with a connection."""

    def __init__(self, endpoint: str = POSTGRES) -> None:
        super().__init__()
        self.endpoint = endpoint
        self.runner = self.process()
        self.session = self.open("session", self.runner)
        test, call = self.test("a.py::test_starts", self.runner, self.session)
        self.thread(self.runner, OLDER)
        prefixes = (API_VERSIONS,) if endpoint == KAFKA else ()
        self.send(endpoint, call, tid=OLDER, connects=1, prefixes=prefixes, asked=2)
        self.finish(test, call)

    def second(
        self, config: Config, *, asked: int | None, unsure: int = 0, connects: int = 0, heads: tuple[bytes, ...] = ()
    ) -> TestResult:
        """A later test, during which the older thread sends, on its older connection or on a new one."""
        test, call = self.test("a.py::test_later", self.runner, self.session)
        socket = 2 if connects else 1
        changes = {"tid": OLDER, "socket": socket, "connects": connects, "heads": heads}
        self.send(self.endpoint, call, asked=asked, unsure=unsure, **changes)  # type: ignore[arg-type]  # by name
        self.finish(test, call)
        result = classified(self.trace(), config)
        return result.tests["a.py::test_later"]


@pytest.mark.parametrize("connects", [0, 1], ids=["older connection", "new connection"])
@pytest.mark.parametrize(("asked", "how"), [(1, "direct"), (0, "ambient")])
def test_the_cause_decides_and_not_the_connection(config: Config, asked: int, how: str, connects: int) -> None:
    (evidence,) = Suite().second(config, asked=asked, connects=connects).evidence
    assert (evidence.how, evidence.asked) == (how, asked > 0)


@pytest.mark.parametrize(("asked", "unsure"), [(None, 0), (0, 1)], ids=["unknown", "unsure"])
@pytest.mark.parametrize(("connects", "how"), [(0, "ambient"), (1, "direct")])
def test_without_a_sure_cause_the_connection_decides(
    config: Config, asked: int | None, unsure: int, connects: int, how: str
) -> None:
    (evidence,) = Suite().second(config, asked=asked, unsure=unsure, connects=connects).evidence
    assert (evidence.how, evidence.asked) == (how, None)


def test_one_send_that_was_asked_for_is_enough(config: Config) -> None:
    (evidence,) = Suite().second(config, asked=1, unsure=1).evidence
    assert (evidence.how, evidence.asked) == ("direct", True)


@pytest.mark.parametrize(("asked", "how"), [(1, "direct"), (0, "ambient"), (None, "ambient")])
def test_housekeeping_can_be_asked_for(config: Config, asked: int | None, how: str) -> None:
    (evidence,) = Suite(KAFKA).second(config, asked=asked, heads=(METADATA,)).evidence
    assert evidence.how == how


def test_a_request_that_a_timer_sends_is_known_by_its_bytes(config: Config) -> None:
    (evidence,) = Suite(KAFKA).second(config, asked=0, heads=(PRODUCE,)).evidence
    assert (evidence.how, evidence.asked) == ("direct", False)


def test_the_tests_own_thread_needs_no_cause(config: Config) -> None:
    suite = Suite()
    test, call = suite.test("a.py::test_own", suite.runner, suite.session)
    suite.send(POSTGRES, call, asked=1)
    suite.finish(test, call)
    result = classified(suite.trace(), config)
    (evidence,) = result.tests["a.py::test_own"].evidence
    assert (evidence.how, evidence.thread, evidence.asked) == ("direct", "test", None)


def test_of_tests_in_threads_the_one_that_asked_has_the_flow(config: Config) -> None:
    """It is the first of the flow's spans. Without a cause, the flow may belong to both."""
    suite = Suite()
    (first, its_call), (second, other_call) = (
        suite.test(f"a.py::test_{tid}", suite.runner, suite.session, tid) for tid in (11, 12)
    )
    suite.send(POSTGRES, other_call, its_call, tid=OLDER, socket=2, connects=1, asked=1)
    suite.send(POSTGRES, its_call, other_call, tid=OLDER, socket=3, connects=1)
    suite.finish(first, its_call)
    suite.finish(second, other_call)
    tests = classified(suite.trace(), config).tests
    assert [(one.ambiguous, one.connects) for one in tests["a.py::test_11"].evidence] == [(True, 1)]
    assert [(one.ambiguous, one.connects) for one in tests["a.py::test_12"].evidence] == [(False, 1), (True, 1)]
