"""Attribution's rules, one by one, on traces with a known answer; and its invariants."""

from __future__ import annotations

from struct import pack

import pytest
from msgspec.structs import replace
from trace_builder import MAIN, TraceBuilder, classified

from tracer.classify.model import TestResult
from tracer.classify.services.config import Config
from tracer.trace.endpoint import Endpoint
from tracer.trace.ids import UNKNOWN_NETWORK, ProcessId
from tracer.trace.records import Listener, Refused

POSTGRES = "tcp://127.0.0.1:5432"
KAFKA = "tcp://127.0.0.1:9092"
REDIS = "tcp://127.0.0.1:6379"
PRODUCE, FETCH, CREATE_TOPICS = (pack(">ihh", 40, key, 7) for key in (0, 1, 19))
API_VERSIONS = pack(">ihhi", 40, 18, 3, 1) + pack(">h", 7) + b"rdkafka" + bytes(15)

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
HEADERS, PING = (pack(">HBBBHB", 0, 8, kind, 4, 0, 0) for kind in (1, 6))


def hows(test: TestResult) -> set[tuple[str, str, str | None]]:
    return {(one.service, one.how, str(one.via) if one.via else None) for one in test.evidence}


class Suite(TraceBuilder):
    """A runner with an open session."""

    def __init__(self) -> None:
        super().__init__()
        self.runner = self.process()
        self.session = self.open("session", self.runner)


@pytest.fixture
def suite() -> Suite:
    return Suite()


def test_what_the_test_sends_is_its_own(suite: Suite, config: Config) -> None:
    test, call = suite.test("a.py::test", suite.runner, suite.session)
    suite.send(POSTGRES, call, connects=1, sends=3)
    suite.finish(test, call)
    result = classified(suite.trace(), config).tests["a.py::test"]
    assert result.services == ("postgres",)
    (evidence,) = result.evidence
    assert (evidence.how, evidence.phase, evidence.thread, evidence.strength) == ("direct", "call", "test", "sent")
    assert (evidence.connects, evidence.sends, evidence.bytes) == (1, 3, 30)


def test_outside_of_every_test_it_is_the_runs(suite: Suite, config: Config) -> None:
    suite.send(REDIS)
    suite.send(POSTGRES, suite.session)
    result = classified(suite.trace(), config)
    assert {(one.service, one.phase) for one in result.run_evidence} == {("redis", None), ("postgres", None)}
    assert result.tests == {}


def test_every_requester_inherits_from_a_wide_fixture_not_only_the_first(suite: Suite, config: Config) -> None:
    instance = suite.instance("server", suite.runner, baseid="tests")
    for number in range(3):
        test, call = suite.test(f"a.py::test_{number}", suite.runner, suite.session)
        if number == 0:
            setup = suite.open("fixture", suite.runner, call, instance)
            suite.send(KAFKA, setup)
            suite.close(setup)
        suite.finish(test, call, instances=(instance,) if number < 2 else ())
    tests = classified(suite.trace(), config).tests
    via = ("kafka", "inherited", "fixture:server@tests")
    assert [hows(tests[f"a.py::test_{number}"]) for number in range(3)] == [{via}, {via}, set()]


def test_a_wide_fixtures_finalizer_is_its_own_not_the_last_tests(suite: Suite, config: Config) -> None:
    instance = suite.instance("pool", suite.runner)
    first, call = suite.test("a.py::first", suite.runner, suite.session)
    suite.close(suite.open("fixture", suite.runner, call, instance))
    suite.finish(first, call, instances=(instance,))
    last = suite.open("test", suite.runner, suite.session, "a.py::last")
    teardown = suite.open("teardown", suite.runner, last)
    finalizer = suite.open("fixture", suite.runner, teardown, instance)
    suite.send(POSTGRES, finalizer)
    suite.close(finalizer)
    suite.finish(last, teardown)
    tests = classified(suite.trace(), config).tests
    assert tests["a.py::last"].services == ()
    (evidence,) = tests["a.py::first"].evidence
    assert (str(evidence.via), evidence.phase) == ("fixture:pool@", "teardown")


def test_fixtures_behind_fixtures_are_inherited(suite: Suite, config: Config) -> None:
    database = suite.instance("database", suite.runner)
    client = suite.instance("client", suite.runner, requires=(database,))
    first, call = suite.test("a.py::first", suite.runner, suite.session)
    outer = suite.open("fixture", suite.runner, call, database)
    suite.send(POSTGRES, outer)
    suite.close(outer)
    suite.finish(first, call, instances=(database, client))
    second, call = suite.test("a.py::second", suite.runner, suite.session)
    suite.finish(second, call, instances=(client,))
    assert classified(suite.trace(), config).tests["a.py::second"].services == ("postgres",)


def test_function_fixtures_belong_to_their_test(suite: Suite, config: Config) -> None:
    instance = suite.instance("db", suite.runner, scope="function")
    test = suite.open("test", suite.runner, suite.session, "a.py::test")
    setup = suite.open("setup", suite.runner, test)
    fixture = suite.open("fixture", suite.runner, setup, instance)
    suite.send(POSTGRES, fixture)
    suite.finish(test, fixture, setup)
    (evidence,) = classified(suite.trace(), config).tests["a.py::test"].evidence
    assert (evidence.how, evidence.phase, evidence.fixture, evidence.via) == ("direct", "setup", "db", None)


def test_a_module_tests_inherit_its_collection_in_their_own_worker(suite: Suite, config: Config) -> None:
    collection = suite.open("collection", suite.runner, suite.session, "a.py")
    suite.send(POSTGRES, collection)
    suite.close(collection)
    other = suite.process()
    session = suite.open("session", other)
    for process, around, nodeid in (
        (ProcessId(1), suite.session, "a.py::here"),
        (ProcessId(1), suite.session, "b.py::x"),
        (ProcessId(2), session, "a.py::there"),
    ):
        test, call = suite.test(nodeid, process, around)
        suite.finish(test, call)
    tests = classified(suite.trace(), config).tests
    assert hows(tests["a.py::here"]) == {("postgres", "inherited", "module:a.py")}
    assert tests["a.py::here"].evidence[0].phase == "collection"
    assert tests["b.py::x"].services == tests["a.py::there"].services == ()


def test_a_session_within_a_test_is_part_of_it(suite: Suite, config: Config) -> None:
    outer, call = suite.test("a.py::outer", suite.runner, suite.session)
    child = suite.process(suite.runner)
    inner_session = suite.open("session", child, call)
    inner, inner_call = suite.test("inner.py::test", child, inner_session)
    suite.send(REDIS, inner_call, process=child)
    suite.finish(inner, inner_call)
    suite.close(inner_session)
    suite.finish(outer, call)
    tests = classified(suite.trace(), config).tests
    assert list(tests) == ["a.py::outer"]
    assert hows(tests["a.py::outer"]) == {("redis", "direct", None)}


class TestHousekeepingAndGoodbyes:
    """A thread of a client that an earlier test opened."""

    PROTOCOLS = pytest.mark.parametrize(
        ("endpoint", "housekeeping", "goodbye"),
        [
            ("tcp://127.0.0.1:5672", "080000 00000000 ce", "01 0000 00000012 000a0032 00c8 06"),
            ("tcp://127.0.0.1:1883", "c000", "e000"),
            ("tcp://127.0.0.1:2181", "00000008 fffffffe 0000000b", "00000008 00000002 fffffff5"),
        ],
        ids=["amqp", "mqtt", "zookeeper"],
    )

    def second(self, suite: Suite, endpoint: str, *sends: tuple[int, str]) -> None:
        """A first test opens a connection; then what threads send on it during a second one."""
        first, call = suite.test("a.py::first", suite.runner, suite.session)
        suite.thread(suite.runner, 7)
        suite.send(endpoint, call, tid=7, connects=1)
        suite.finish(first, call)
        second, call = suite.test("a.py::second", suite.runner, suite.session)
        for tid in {tid for tid, _ in sends}:
            heads = tuple(bytes.fromhex(head) for of, head in sends if of == tid)
            suite.send(endpoint, call, tid=tid, sends=len(heads), heads=heads)
        suite.finish(second, call)

    @PROTOCOLS
    def test_housekeeping_of_another_thread_does_not_hide_its_goodbye(
        self, suite: Suite, config: Config, endpoint: str, housekeeping: str, goodbye: str
    ) -> None:
        self.second(suite, endpoint, (7, housekeeping), (7, goodbye))
        result = classified(suite.trace(), config).tests["a.py::second"]
        assert (result.services, result.ambient, [one.how for one in result.evidence]) == ((), (), ["goodbye"])

    @PROTOCOLS
    def test_housekeeping_of_another_thread_does_not_hide_the_tests_goodbye(
        self, suite: Suite, config: Config, endpoint: str, housekeeping: str, goodbye: str
    ) -> None:
        self.second(suite, endpoint, (7, housekeeping), (MAIN, goodbye))
        result = classified(suite.trace(), config).tests["a.py::second"]
        assert (result.services, sorted(one.how for one in result.evidence)) == ((), ["ambient", "goodbye"])

    @PROTOCOLS
    def test_what_the_test_itself_sends_before_is_a_use(
        self, suite: Suite, config: Config, endpoint: str, housekeeping: str, goodbye: str
    ) -> None:
        self.second(suite, endpoint, (MAIN, housekeeping), (MAIN, goodbye))
        assert [one.how for one in classified(suite.trace(), config).tests["a.py::second"].evidence] == ["direct"]

    @PROTOCOLS
    def test_unknown_messages_are_a_use(
        self, suite: Suite, config: Config, endpoint: str, housekeeping: str, goodbye: str
    ) -> None:
        self.second(suite, endpoint, (7, "ff00"), (MAIN, goodbye))
        result = classified(suite.trace(), config).tests["a.py::second"]
        assert sorted(one.how for one in result.evidence) == ["ambient", "direct"]


class TestRequestsWithoutCauses:
    """An older thread sends on an older connection, and it is unknown, or known, whether the test asked for it."""

    QUERY, OPTIONS = bytes.fromhex("04 00 0003 07 00000024 0000001d"), bytes.fromhex("04 00 0000 05 00000000")
    GET, HELLO = b"*2\r\n$3\r\nGET\r\n$1\r", b"*2\r\n$5\r\nHELLO\r"

    @pytest.mark.parametrize(
        ("endpoint", "head", "asked", "how"),
        [
            ("tcp://127.0.0.1:9042", QUERY, None, "direct"),
            ("tcp://127.0.0.1:9042", OPTIONS, None, "ambient"),
            ("tcp://127.0.0.1:9042", QUERY, 0, "ambient"),
            ("tcp://127.0.0.1:9042", OPTIONS, 1, "direct"),
            (REDIS, GET, None, "ambient"),  # a leaked thread may send it
        ],
    )
    def test_on_a_connection_of_another_test(
        self, suite: Suite, config: Config, endpoint: str, head: bytes, asked: int | None, how: str
    ) -> None:
        first, call = suite.test("a.py::first", suite.runner, suite.session)
        suite.thread(suite.runner, 7)
        suite.send(endpoint, call, tid=7, connects=1, prefixes=(self.OPTIONS if "9042" in endpoint else self.HELLO,))
        suite.finish(first, call)
        second, call = suite.test("a.py::second", suite.runner, suite.session)
        suite.send(endpoint, call, tid=7, heads=(head,), asked=asked)
        suite.finish(second, call)
        assert [one.how for one in classified(suite.trace(), config).tests["a.py::second"].evidence] == [how]

    @pytest.mark.parametrize(
        ("heads", "sends", "how"),
        [
            ((GET,), 1, "direct"),
            ((HELLO,), 1, "ambient"),
            ((HELLO, GET), 2, "direct"),
            ((HELLO,), 2, "direct"),  # the other send is unknown
        ],
    )
    def test_on_the_tests_own_connection(
        self, suite: Suite, config: Config, heads: tuple[bytes, ...], sends: int, how: str
    ) -> None:
        suite.thread(suite.runner, 7)
        test, call = suite.test("a.py::test", suite.runner, suite.session)
        suite.send(REDIS, call, connects=1, prefixes=(self.GET,))
        suite.send(REDIS, call, tid=7, sends=sends, heads=heads)
        suite.finish(test, call)
        evidence = classified(suite.trace(), config).tests["a.py::test"].evidence
        assert {one.how for one in evidence if one.thread == "other"} == {how}


class TestOtherThreads:
    def leaked(self, suite: Suite, **kwargs: object) -> None:
        """A first test starts a thread that connects; a second is what another thread sends in."""
        first, call = suite.test("a.py::first", suite.runner, suite.session)
        suite.thread(suite.runner, 7)
        suite.send(str(kwargs.get("endpoint", REDIS)), call, tid=7, connects=1, prefixes=kwargs.get("prefixes", ()))  # type: ignore[arg-type]
        suite.finish(first, call)

    def test_a_thread_of_the_test_is_direct(self, suite: Suite, config: Config) -> None:
        test, call = suite.test("a.py::test", suite.runner, suite.session)
        suite.thread(suite.runner, 7)
        suite.send(REDIS, call, tid=7, connects=1)
        suite.finish(test, call)
        (evidence,) = classified(suite.trace(), config).tests["a.py::test"].evidence
        assert (evidence.how, evidence.thread) == ("direct", "other")

    def test_a_leaked_thread_on_its_own_connection_is_ambient(self, suite: Suite, config: Config) -> None:
        self.leaked(suite)
        second, call = suite.test("a.py::second", suite.runner, suite.session)
        suite.send(REDIS, call, tid=7)
        suite.finish(second, call)
        result = classified(suite.trace(), config).tests["a.py::second"]
        assert (result.services, result.ambient) == ((), ("redis",))

    def test_an_older_thread_on_the_tests_connection_is_direct(self, suite: Suite, config: Config) -> None:
        self.leaked(suite)
        second, call = suite.test("a.py::second", suite.runner, suite.session)
        suite.send(REDIS, call, connects=1, socket=2)
        suite.send(REDIS, call, tid=7, socket=2)
        suite.finish(second, call)
        result = classified(suite.trace(), config).tests["a.py::second"]
        assert (result.services, result.ambient) == (("redis",), ())
        assert {one.thread for one in result.evidence} == {"test", "other"}

    def test_a_fixtures_thread_is_the_requesters(self, suite: Suite, config: Config) -> None:
        instance = suite.instance("client", suite.runner)
        first, call = suite.test("a.py::first", suite.runner, suite.session)
        setup = suite.open("fixture", suite.runner, call, instance)
        suite.thread(suite.runner, 7)
        suite.close(setup)
        suite.finish(first, call, instances=(instance,))
        for name, instances in (("requests", (instance,)), ("does_not", ())):
            test, call = suite.test(f"a.py::{name}", suite.runner, suite.session)
            suite.send(REDIS, call, tid=7, connects=name == "requests")
            suite.finish(test, call, instances=instances)
        tests = classified(suite.trace(), config).tests
        assert tests["a.py::requests"].services == ("redis",)
        assert (tests["a.py::does_not"].services, tests["a.py::does_not"].ambient) == ((), ("redis",))

    @pytest.mark.parametrize(("head", "how"), [(PRODUCE, "direct"), (CREATE_TOPICS, "direct"), (FETCH, "ambient")])
    def test_kafkas_bytes_decide_what_an_older_thread_does(
        self, suite: Suite, config: Config, head: bytes, how: str
    ) -> None:
        self.leaked(suite, endpoint="tcp://10.0.0.1:40000", prefixes=(API_VERSIONS,))
        second, call = suite.test("a.py::second", suite.runner, suite.session)
        suite.send("tcp://10.0.0.1:40000", call, tid=7, connects=1, socket=2, heads=(head,))
        suite.finish(second, call)
        (evidence,) = classified(suite.trace(), config).tests["a.py::second"].evidence
        assert (evidence.service, evidence.how) == ("kafka", how)

    @pytest.mark.parametrize(
        ("head", "connects", "how"), [(HEADERS, 0, "direct"), (PING, 0, "ambient"), (PING, 1, "direct")]
    )
    def test_of_grpcs_threads_the_bytes_or_the_connection_decide(
        self, suite: Suite, config: Config, head: bytes, connects: int, how: str
    ) -> None:
        self.leaked(suite, endpoint="tcp://10.0.0.1:40000", prefixes=(PREFACE,))
        second, call = suite.test("a.py::second", suite.runner, suite.session)
        suite.send("tcp://10.0.0.1:40000", call, tid=7, connects=connects, socket=1 + connects, heads=(head,))
        suite.finish(second, call)
        (evidence,) = classified(suite.trace(), config).tests["a.py::second"].evidence
        assert (evidence.protocol, evidence.how) == ("http2", how)

    @pytest.mark.parametrize(("endpoint", "how"), [("tcp://10.0.0.1:9092", "ambient"), (REDIS, "direct")])
    def test_that_kafkas_clients_try_again_and_again_is_nobodys_order(
        self, suite: Suite, config: Config, endpoint: str, how: str
    ) -> None:
        self.leaked(suite, endpoint=endpoint, sends=0, errors={"ECONNREFUSED": 1})
        second, call = suite.test("a.py::second", suite.runner, suite.session)
        suite.send(endpoint, call, tid=7, connects=1, sends=0, socket=2, errors={"ECONNREFUSED": 1})
        suite.finish(second, call)
        (evidence,) = classified(suite.trace(), config).tests["a.py::second"].evidence
        assert (evidence.how, evidence.errno) == (how, "ECONNREFUSED")

    def test_a_leaked_thread_is_not_the_doing_of_a_slow_fixture(self, suite: Suite, config: Config) -> None:
        self.leaked(suite)
        instance = suite.instance("slow", suite.runner)
        second, call = suite.test("a.py::second", suite.runner, suite.session)
        setup = suite.open("fixture", suite.runner, call, instance)
        suite.send(REDIS, setup, tid=7)
        suite.close(setup)
        suite.finish(second, call, instances=(instance,))
        third, call = suite.test("a.py::third", suite.runner, suite.session)
        suite.finish(third, call, instances=(instance,))
        tests = classified(suite.trace(), config).tests
        assert (tests["a.py::second"].services, tests["a.py::second"].ambient) == ((), ("redis",))
        assert hows(tests["a.py::third"]) == set()

    def test_a_leaked_thread_is_not_the_doing_of_a_slow_module(self, suite: Suite, config: Config) -> None:
        guilty = suite.open("collection", suite.runner, suite.session, "a.py")
        suite.thread(suite.runner, 7)
        suite.send(REDIS, guilty, tid=7, connects=1)
        suite.close(guilty)
        slow = suite.open("collection", suite.runner, suite.session, "b.py")
        suite.send(REDIS, slow, tid=7)
        suite.close(slow)
        for nodeid in ("a.py::test", "b.py::test"):
            test, call = suite.test(nodeid, suite.runner, suite.session)
            suite.finish(test, call)
        result = classified(suite.trace(), config)
        assert hows(result.tests["a.py::test"]) == {("redis", "inherited", "module:a.py")}
        assert hows(result.tests["b.py::test"]) == set()
        assert [one.service for one in result.run_evidence] == ["redis"]

    def test_a_fixtures_own_thread_and_order_are_its_doing(self, suite: Suite, config: Config) -> None:
        self.leaked(suite, endpoint="tcp://10.0.0.1:40000", prefixes=(API_VERSIONS,))
        instance = suite.instance("seed", suite.runner)
        second, call = suite.test("a.py::second", suite.runner, suite.session)
        setup = suite.open("fixture", suite.runner, call, instance)
        suite.send("tcp://10.0.0.1:40000", setup, tid=7, heads=(PRODUCE,))
        suite.thread(suite.runner, 8)
        suite.send(REDIS, setup, tid=8, connects=1, socket=2)
        suite.close(setup)
        suite.finish(second, call, instances=(instance,))
        via = "fixture:seed@"
        found = hows(classified(suite.trace(), config).tests["a.py::second"])
        assert found == {("kafka", "inherited", via), ("redis", "inherited", via)}

    def test_a_process_of_the_test_is_direct_and_an_older_one_ambient(self, suite: Suite, config: Config) -> None:
        first, call = suite.test("a.py::first", suite.runner, suite.session)
        daemon = suite.process(suite.runner, "daemon")
        grandchild = suite.process(daemon, "psql")
        suite.send(POSTGRES, call, process=grandchild, connects=1)
        suite.finish(first, call)
        second, call = suite.test("a.py::second", suite.runner, suite.session)
        suite.send(POSTGRES, call, process=grandchild)
        late = suite.process(daemon, "psql")
        suite.send(POSTGRES, call, process=late)
        suite.finish(second, call)
        tests = classified(suite.trace(), config).tests
        assert [(one.how, one.command) for one in tests["a.py::first"].evidence] == [("direct", "psql")]
        assert {one.how for one in tests["a.py::second"].evidence} == {"ambient"}


def test_parallel_tests_in_one_process_are_ambiguous(suite: Suite, config: Config) -> None:
    first, first_call = suite.test("a.py::first", suite.runner, suite.session, tid=11)
    second, second_call = suite.test("a.py::second", suite.runner, suite.session, tid=12)
    suite.send(REDIS, first_call, tid=11)
    suite.thread(suite.runner, 13)
    suite.send(POSTGRES, suite.session, first_call, second_call, tid=13, connects=1, socket=2)
    suite.finish(first, first_call)
    suite.finish(second, second_call)
    tests = classified(suite.trace(), config).tests
    services = {name: {(one.service, one.ambiguous) for one in test.evidence} for name, test in tests.items()}
    assert services == {"a.py::first": {("redis", False), ("postgres", True)}, "a.py::second": {("postgres", True)}}


def test_parallel_threads_of_a_session_within_a_test_are_not_ambiguous(suite: Suite, config: Config) -> None:
    outer, call = suite.test("a.py::outer", suite.runner, suite.session)
    session = suite.open("session", suite.runner, call)
    inner = [suite.open("test", suite.runner, session, f"inner.py::{tid}", tid) for tid in (11, 12)]
    suite.thread(suite.runner, 13)
    suite.send(POSTGRES, *inner, tid=13, connects=1, sends=3)
    suite.finish(outer, *inner, session, call)
    (evidence,) = classified(suite.trace(), config).tests["a.py::outer"].evidence
    assert (evidence.sends, evidence.ambiguous) == (3, False)


def test_what_tests_inherit_is_held_in_memory_once(suite: Suite, config: Config) -> None:
    instance = suite.instance("pool", suite.runner)
    for name in ("first", "second"):
        test, call = suite.test(f"a.py::{name}", suite.runner, suite.session)
        if name == "first":
            setup = suite.open("fixture", suite.runner, call, instance)
            suite.send(POSTGRES, setup, connects=1)
            suite.close(setup)
        suite.send(REDIS, call, socket=2)
        suite.finish(test, call, instances=(instance,))
    first, second = classified(suite.trace(), config).tests.values()
    assert [one.service for one in first.evidence] == ["redis", "postgres"]
    assert first.evidence[1] is second.evidence[1]


@pytest.mark.parametrize("listener", ["tcp://127.0.0.1:5432", "tcp://0.0.0.0:5432", "tcp://[::]:5432"])
def test_what_the_run_provides_itself_is_no_external_service(suite: Suite, config: Config, listener: str) -> None:
    test, call = suite.test("a.py::test", suite.runner, suite.session)
    suite.listen(listener, suite.runner)
    suite.send(POSTGRES, call)
    suite.send("unix:///run/x.sock", call, peer=1, socket=2)
    suite.finish(test, call)
    result = classified(suite.trace(), config).tests["a.py::test"]
    assert result.services == ()
    assert result.self_hosted == ("postgres", "unknown:unix:///run/x.sock")


def test_failures_count_and_connected_datagram_sockets_do_not(suite: Suite, config: Config) -> None:
    test, call = suite.test("a.py::test", suite.runner, suite.session)
    suite.send(POSTGRES, call, connects=1, sends=0, errors={"ECONNREFUSED": 1})
    suite.send("udp://127.0.0.1:53", call, connects=1, sends=0, socket=2)
    suite.send("udp://[2001:db8::1]:53", call, connects=1, sends=0, socket=3, errors={"ENETUNREACH": 1})
    suite.send("udp://10.0.0.1:8125", call, sends=0, socket=4, errors={"ENETUNREACH": 1})
    suite.finish(test, call)
    refused, unreachable = classified(suite.trace(), config).tests["a.py::test"].evidence
    assert (refused.service, refused.strength, refused.errno) == ("postgres", "attempted", "ECONNREFUSED")
    assert (unreachable.service, unreachable.strength, unreachable.errno) == ("statsd", "attempted", "ENETUNREACH")


def test_lost_datagrams_are_attempts(suite: Suite, config: Config) -> None:
    test, call = suite.test("a.py::test", suite.runner, suite.session)
    suite.send("udp://127.0.0.1:8125", call, sends=3)
    suite.finish(test, call)
    trace = replace(suite.trace(), refused=(Refused("statsd", first_port=8125, last_port=8125, protocols=("udp",)),))
    (lost,) = classified(trace, config).tests["a.py::test"].evidence
    assert (lost.service, lost.strength, lost.errno, lost.connects, lost.sends) == ("statsd", "attempted", None, 0, 3)


def test_attempts_of_one_test_are_united_and_the_last_outcome_counts(suite: Suite, config: Config) -> None:
    for endpoint, outcome in ((POSTGRES, "failed"), (REDIS, "passed")):
        test, call = suite.test("a.py::flaky", suite.runner, suite.session)
        suite.send(endpoint, call)
        suite.finish(test, call, outcome=outcome)
    result = classified(suite.trace(), config).tests["a.py::flaky"]
    assert (result.attempts, result.outcome, result.services) == (2, "passed", ("postgres", "redis"))


@pytest.mark.parametrize(
    ("phases", "outcome"),
    [
        ({}, "passed"),
        ({"call": "failed"}, "failed"),
        ({"setup": "failed"}, "error"),
        ({"teardown": "failed"}, "error"),
        ({"call": "xfailed", "teardown": "failed"}, "error"),
        ({"call": "failed", "teardown": "interrupted"}, "failed"),
        ({"setup": "skipped"}, "skipped"),
        ({"call": "xpassed"}, "xpassed"),
        ({"setup": "interrupted"}, "interrupted"),
        ({"call": "not run"}, "not run"),
        ({"setup": "skipped", "call": "not run"}, "skipped"),
        ({"setup": "failed", "call": "not run"}, "error"),
        ({"call": "skipped", "teardown": "interrupted"}, "interrupted"),
    ],
)
def test_one_word_for_all_phases(suite: Suite, config: Config, phases: dict[str, str], outcome: str) -> None:
    test, call = suite.test("a.py::test", suite.runner, suite.session)
    suite.finish(test, call)
    suite.attempts[-1] = replace(suite.attempts[-1], outcomes=phases)
    assert classified(suite.trace(), config).tests["a.py::test"].outcome == outcome


def test_a_tests_duration_is_that_of_its_attempts_spans(suite: Suite, config: Config) -> None:
    for _ in range(2):
        test, call = suite.test("a.py::flaky", suite.runner, suite.session)
        suite.finish(test, call)
    took_ns = sum(span.end_ns - span.start_ns for span in suite.spans.values() if span.kind == "test")
    assert classified(suite.trace(), config).tests["a.py::flaky"].duration_s == took_ns / 1e9 > 0


def test_a_test_whose_process_died_is_crashed(suite: Suite, config: Config) -> None:
    test, call = suite.test("a.py::test", suite.runner, suite.session)
    suite.finish(test, call)
    suite.close(test, crashed=True)
    assert classified(suite.trace(), config).tests["a.py::test"].outcome == "crashed"


def test_a_cut_off_trace_is_not_complete(suite: Suite, config: Config) -> None:
    run = classified(suite.trace(cut_off=True), config).run
    assert (run.complete, run.exit_status) == (False, None)


def test_an_unknown_endpoint_is_told_with_the_process_that_listens_there(config: Config) -> None:
    story = TraceBuilder()
    process = story.process()
    session = story.open("session", process)
    test, call = story.test("t.py::test", process, session)
    story.send("tcp://127.0.0.1:9999", call, socket=1)
    story.send("tcp://127.0.0.1:5432", call, socket=2)
    story.send("tcp://10.0.0.1:9999", call, socket=3)
    story.finish(test, call)
    places = {Endpoint("tcp", "0.0.0.0", 9999): "billing", Endpoint("tcp", "127.0.0.1", 5432): "postgres"}
    listeners = tuple(Listener(endpoint, UNKNOWN_NETWORK, command) for endpoint, command in places.items())
    (result,) = classified(replace(story.trace(), listeners=listeners), config).tests.values()
    assert {(str(one.endpoint), one.listener) for one in result.evidence} == {
        ("tcp://127.0.0.1:9999", "billing"),
        ("tcp://127.0.0.1:5432", None),  # a rule names it
        ("tcp://10.0.0.1:9999", None),  # another machine's
    }
