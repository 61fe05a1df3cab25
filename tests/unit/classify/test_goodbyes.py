"""Goodbyes: which flows only close a connection, and what they count for."""

from __future__ import annotations

import pytest
from msgspec.structs import replace
from trace_builder import TraceBuilder, classified

from tracer.classify.goodbyes import is_only_goodbyes
from tracer.classify.services.config import Config
from tracer.trace.records import Flow

POSTGRES = "tcp://127.0.0.1:5432"
TERMINATE, QUERY = b"X\0\0\0\4", b"Q\0\0\0\x0dSEL"
TLS_TERMINATE, TLS_ALERT, TLS_OTHER = bytes.fromhex("1703030016 aa"), bytes.fromhex("1703030013 aa"), b"\x17\3\3\0\x40"


class Suite(TraceBuilder):
    """A runner with an open session, whose tests send on sockets by number."""

    def __init__(self) -> None:
        super().__init__()
        self.runner = self.process()
        self.session = self.open("session", self.runner)

    def run(self, nodeid: str, *heads: bytes, socket: int = 1, connects: int = 0, tid: int = 100) -> None:
        """A test that sends these messages on a socket."""
        test, call = self.test(nodeid, self.runner, self.session)
        self.send(POSTGRES, call, socket=socket, connects=connects, sends=len(heads), heads=heads, tid=tid)
        self.finish(test, call)


@pytest.fixture
def suite() -> Suite:
    return Suite()


@pytest.mark.parametrize("tid", [100, 7], ids=["test", "other"])
def test_a_goodbye_on_a_connection_of_another_test_is_no_use(suite: Suite, config: Config, tid: int) -> None:
    suite.run("a.py::test_opens", QUERY, connects=1)
    suite.run("a.py::test_closes", TERMINATE, tid=tid)
    tests = classified(suite.trace(), config).tests
    assert tests["a.py::test_opens"].services == ("postgres",)
    closes = tests["a.py::test_closes"]
    assert (closes.services, closes.ambient, [one.how for one in closes.evidence]) == ((), (), ["goodbye"])


def test_a_goodbye_after_a_request_is_part_of_the_use(suite: Suite, config: Config) -> None:
    """Also if the request is in another phase, and so in another flow."""
    suite.run("a.py::test_opens", QUERY, connects=1)
    test, call = suite.test("a.py::test_uses", suite.runner, suite.session)
    suite.send(POSTGRES, call, heads=(QUERY,))
    suite.close(call)
    teardown = suite.open("teardown", suite.runner, test)
    suite.send(POSTGRES, teardown, heads=(TERMINATE,))
    suite.finish(test, teardown)
    uses = classified(suite.trace(), config).tests["a.py::test_uses"]
    assert uses.services == ("postgres",)
    assert [one.how for one in uses.evidence] == ["direct", "direct"]


def test_a_goodbye_on_one_connection_does_not_hide_a_request_on_another(suite: Suite, config: Config) -> None:
    suite.run("a.py::test_opens", QUERY, connects=1)
    test, call = suite.test("a.py::test_both", suite.runner, suite.session)
    suite.send(POSTGRES, call, heads=(TERMINATE,))
    suite.send(POSTGRES, call, socket=2, connects=1, heads=(QUERY,))
    suite.finish(test, call)
    both = classified(suite.trace(), config).tests["a.py::test_both"]
    assert (both.services, sorted(one.how for one in both.evidence)) == (("postgres",), ["direct", "goodbye"])


def test_a_goodbye_on_a_connection_that_the_test_opened_is_part_of_the_use(suite: Suite, config: Config) -> None:
    suite.run("a.py::test", TERMINATE, connects=1)
    assert classified(suite.trace(), config).tests["a.py::test"].services == ("postgres",)


def test_tests_do_not_inherit_a_fixtures_goodbyes(suite: Suite, config: Config) -> None:
    pool = suite.instance("pool", suite.runner)
    test, call = suite.test("a.py::test_opens", suite.runner, suite.session)
    suite.send(POSTGRES, call, connects=1, heads=(QUERY,))
    suite.finish(test, call, instances=(pool,))
    test, call = suite.test("a.py::test_requests", suite.runner, suite.session)
    suite.close(call)
    for _ in range(2):  # its set-up, and its finalizer
        span = suite.open("fixture", suite.runner, test, pool)
        suite.close(span)
    suite.send(POSTGRES, span, heads=(TERMINATE,))
    suite.finish(test, instances=(pool,))
    requests = classified(suite.trace(), config).tests["a.py::test_requests"]
    assert (requests.services, [(one.how, str(one.via)) for one in requests.evidence]) == (
        (),
        [("goodbye", "fixture:pool@")],
    )


@pytest.mark.parametrize(
    ("expected", "sends", "size", "heads"),
    [
        (True, 1, 5, [TERMINATE]),
        (True, 2, 10, [TERMINATE, TERMINATE]),
        (False, 2, 10, [TERMINATE]),  # one is not known
        (False, 2, 18, [TERMINATE, QUERY]),
        (False, 1, 13, [QUERY]),
        (False, 1, 5, []),
        (False, 0, 0, []),
        (True, 2, 51, [TLS_TERMINATE, TLS_ALERT]),
        (True, 2, 51, [TLS_TERMINATE]),  # the other one has the length of an alert
        (False, 2, 96, [TLS_TERMINATE]),
        (False, 3, 51, [TLS_TERMINATE]),
        (False, 2, 93, [TLS_ALERT, TLS_OTHER]),
    ],
)
def test_all_of_its_sends_have_to_be_goodbyes(
    suite: Suite, expected: bool, sends: int, size: int, heads: list[bytes]
) -> None:
    flow = _flow(suite, sends, size, {head.hex(): heads.count(head) for head in heads})
    assert is_only_goodbyes(flow, "postgres") is expected
    assert not is_only_goodbyes(replace(flow, connects=1), "postgres")


def test_a_sockets_first_sends_are_known_by_their_prefixes(suite: Suite) -> None:
    flow = replace(_flow(suite, 2, 10, {TERMINATE.hex(): 1}), prefixes=(TERMINATE.hex(),))
    assert is_only_goodbyes(flow, "postgres")
    assert not is_only_goodbyes(replace(flow, prefixes=(QUERY.hex(),)), "postgres")


def _flow(suite: Suite, sends: int, size: int, heads: dict[str, int]) -> Flow:
    return replace(suite.send(POSTGRES), sends=sends, bytes=size, heads=heads)
