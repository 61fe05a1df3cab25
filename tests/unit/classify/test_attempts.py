"""Failed attempts that the client repeated at another address of the same name."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from trace_builder import MAIN, TraceBuilder

from tracer.classify.attempts import LOCALHOST
from tracer.classify.classification import classify
from tracer.classify.places import Places
from tracer.classify.services.config import load_config
from tracer.classify.services.identify import Identifier
from tracer.classify.sockets import Sockets
from tracer.commands.fail_on import check_findings
from tracer.trace.endpoint import Endpoint
from tracer.trace.ids import NetworkNamespace, SpanId
from tracer.trace.records import Flow

REFUSED = {"ECONNREFUSED": 1}
CONFIG = load_config(None, Path("/"))
V4, V6, OTHER_V4, OTHER_V6 = "10.0.0.5", "[2001:db8::5]", "10.0.0.6", "[2001:db8::6]"
DNS = "udp://10.0.0.2:53"


class Client(TraceBuilder):
    """A test whose threads try addresses. Each attempt has a socket of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.runner = self.process()
        self.session = self.open("session", self.runner)
        _, self.call = self.test("a.py::test", self.runner, self.session)
        self.sockets = 0

    def tries(self, *hosts: str, tid: int = MAIN, process: int = 1, span: int = 0, port: int = 40_000) -> None:
        """Attempts at one port, in the order of time. `host!` answers, the others refuse."""
        for host in hosts:
            self.sockets += 1
            place = f"tcp://{host.removesuffix('!')}:{port}"
            where = SpanId(span) if span else self.call
            ok = host.endswith("!")
            self.send(
                place,
                where,
                tid=tid,
                process=process,
                socket=self.sockets,
                connects=1,
                sends=int(ok),
                errors=None if ok else REFUSED,
            )

    def named(self) -> list[str]:
        """Where each attempt counts, in the order of time: host, and `!` if it answers."""
        found = named(self)
        return [f"{flow.endpoint.host}{'!' * bool(flow.sends)}" for flow in found]


def named(builder: TraceBuilder) -> list[Flow]:
    trace = builder.trace()
    return [one.flow for one in Sockets(trace, Identifier(CONFIG), Places(trace)).named_flows()]


@pytest.fixture
def client() -> Client:
    return Client()


def test_localhost_is_two_addresses(client: Client) -> None:
    client.tries("[::1]", "127.0.0.1!")
    refused, made = named(client)
    assert (refused.endpoint, refused.connects, refused.errors) == (made.endpoint, 1, {})
    assert str(made.endpoint) == "tcp://127.0.0.1:40000"


def test_the_server_may_be_at_either(client: Client) -> None:
    client.tries("127.0.0.1", "[::1]!")
    assert client.named() == ["::1", "::1!"]


def test_a_client_that_waits_for_its_server(client: Client) -> None:
    client.tries("[::1]", "127.0.0.1", "[::1]", "127.0.0.1", "[::1]", "127.0.0.1!")
    assert client.named() == ["127.0.0.1"] * 5 + ["127.0.0.1!"]


def test_without_an_answer_both_remain(client: Client) -> None:
    client.tries("[::1]", "127.0.0.1")
    assert client.named() == ["::1", "127.0.0.1"]
    assert all(flow.errors == REFUSED for flow in named(client))


def test_an_attempt_after_the_connection_is_another_one(client: Client) -> None:
    client.tries("[::1]", "127.0.0.1!", "[::1]")
    assert client.named() == ["127.0.0.1", "127.0.0.1!", "::1"]


def test_an_attempt_that_has_no_result_has_not_failed(client: Client) -> None:
    client.tries("[::1]", "127.0.0.1!")
    client.flows[0] = replace(client.flows[0], errors={})
    assert client.named() == ["::1", "127.0.0.1!"]


@pytest.mark.parametrize("port", [40_001, 5432])
def test_other_ports_are_other_services(client: Client, port: int) -> None:
    client.tries("[::1]")
    client.tries("127.0.0.1!", port=port)
    assert client.named() == ["::1", "127.0.0.1!"]


def test_threads_of_one_process_may_take_turns(client: Client) -> None:
    client.tries("[::1]", tid=7)
    client.tries("127.0.0.1!", tid=8)
    assert client.named() == ["127.0.0.1", "127.0.0.1!"]


def test_processes_are_separate_clients(client: Client) -> None:
    child = client.process(client.runner)
    client.tries("[::1]")
    client.tries("127.0.0.1!", process=child)
    assert client.named() == ["::1", "127.0.0.1!"]


def test_phases_of_one_test_are_one_client(client: Client) -> None:
    """A client with a thread of its own begins in a fixture, and tries again later."""
    test = client.spans[client.call].parent
    setup = client.open("setup", client.runner, test)
    client.tries("[::1]", span=setup, tid=7)
    client.tries("127.0.0.1!", tid=7)
    assert client.named() == ["127.0.0.1", "127.0.0.1!"]


def test_attempts_of_two_tests_are_two(client: Client) -> None:
    _, other = client.test("a.py::other", client.runner, client.session)
    client.tries("[::1]")
    client.tries("127.0.0.1!", span=other)
    assert client.named() == ["::1", "127.0.0.1!"]


def test_network_namespaces_have_their_own_localhost(client: Client) -> None:
    client.tries("[::1]", "127.0.0.1!")
    client.flows[1] = replace(client.flows[1], network=NetworkNamespace(4026532000))
    assert client.named() == ["::1", "127.0.0.1!"]


def test_datagrams_have_no_attempts(client: Client) -> None:
    client.send("udp://[::1]:40000", client.call, socket=1, connects=1, errors=REFUSED)
    client.send("udp://127.0.0.1:40000", client.call, socket=2, connects=1)
    assert client.named() == ["::1!", "127.0.0.1!"]


@pytest.mark.parametrize(
    ("hosts", "counted"),
    [
        ((V6, f"{V4}!"), ["10.0.0.5", "10.0.0.5!"]),
        ((V4, f"{V6}!"), ["2001:db8::5", "2001:db8::5!"]),
        ((V6, OTHER_V6, V4, f"{OTHER_V4}!"), ["10.0.0.6", "10.0.0.6", "10.0.0.5", "10.0.0.6!"]),
        ((V4, f"{OTHER_V4}!"), ["10.0.0.5", "10.0.0.6!"]),  # they may be two services
        ((V6, V4), ["2001:db8::5", "10.0.0.5"]),
        (("[::1]", f"{V4}!"), ["::1", "10.0.0.5!"]),  # another name
        ((V6, "127.0.0.1!"), ["2001:db8::5", "127.0.0.1!"]),
        ((V6, "127.0.0.1", f"{V4}!"), ["2001:db8::5", "127.0.0.1", "10.0.0.5!"]),
    ],
)
def test_a_host_name_with_addresses_of_both_versions(
    client: Client, hosts: tuple[str, ...], counted: list[str]
) -> None:
    client.tries(*hosts)
    assert client.named() == counted


def test_a_look_up_in_between_shows_another_name(client: Client) -> None:
    client.tries(V6)
    client.send(DNS, client.call, socket=99)
    client.tries(f"{V4}!")
    assert client.named() == ["2001:db8::5", "10.0.0.2!", "10.0.0.5!"]


def test_a_thread_tries_the_addresses_of_a_name(client: Client) -> None:
    client.tries(V6, tid=7)
    client.tries(f"{V4}!", tid=8)
    assert client.named() == ["2001:db8::5", "10.0.0.5!"]


def test_a_span_contains_the_addresses_of_a_name(client: Client) -> None:
    setup = client.open("setup", client.runner, client.spans[client.call].parent)
    client.tries(V6, span=setup)
    client.tries(f"{V4}!")
    assert client.named() == ["2001:db8::5", "10.0.0.5!"]


def test_addresses_of_a_known_name_are_one_attempt(client: Client) -> None:
    """Of one IP version too, in any thread, and with a look-up in between."""
    client.names("db.internal", V4, OTHER_V4, process=client.runner)
    client.names("db.internal", V6.strip("[]"), source="hosts")
    client.tries(V6, V4)
    client.send(DNS, client.call, socket=99)
    client.tries(f"{OTHER_V4}!", tid=7)
    assert client.named() == ["10.0.0.6", "10.0.0.6", "10.0.0.2!", "10.0.0.6!"]
    refused = named(client)[0]
    assert (refused.connects, refused.errors) == (1, {})


def test_addresses_of_a_known_name_without_an_answer_remain(client: Client) -> None:
    client.names("db.internal", V4, OTHER_V4)
    client.tries(V4, OTHER_V4)
    assert client.named() == [V4, OTHER_V4]
    assert all(flow.errors == REFUSED for flow in named(client))


@pytest.mark.parametrize("other", [OTHER_V4, V6])
def test_addresses_of_different_names_are_different_hosts(client: Client, other: str) -> None:
    client.names("a.internal", V4)
    client.names("b.internal", other.strip("[]"))
    client.tries(V4, f"{other}!")
    assert client.named() == [V4, f"{other.strip('[]')}!"]


def test_an_address_has_the_name_that_the_client_looked_up_last(client: Client) -> None:
    """Many hosts of a network of servers share addresses: the connection is one to another host."""
    client.names("a.internal", V4, OTHER_V4)
    client.tries(V4)
    client.names("b.internal", OTHER_V4)
    client.tries(f"{OTHER_V4}!")
    assert client.named() == [V4, f"{OTHER_V4}!"]


def test_addresses_of_one_name_at_other_ports_are_other_services(client: Client) -> None:
    client.names("db.internal", V4, OTHER_V4)
    client.tries(V4)
    client.tries(f"{OTHER_V4}!", port=5432)
    assert client.named() == [V4, f"{OTHER_V4}!"]


def test_if_one_name_is_known_the_row_of_attempts_decides(client: Client) -> None:
    client.names("db.internal", V4)
    client.tries(V6, f"{V4}!")
    assert client.named() == [V4, f"{V4}!"]


def test_a_suite_with_a_server_at_localhost_has_no_finding(client: Client) -> None:
    client.listen("tcp://127.0.0.1:40000", client.runner)
    client.tries("[::1]", "127.0.0.1!", "[::1]", "127.0.0.1")
    client.finish(client.spans[client.call].parent, client.call)
    found = classify(client.trace(), CONFIG, generated_at=datetime(2026, 1, 1, tzinfo=UTC))
    (test,) = found.tests.values()
    assert (test.services, test.self_hosted) == ((), ("unknown:tcp://127.0.0.1:40000", "unknown:tcp://[::1]:40000"))
    check_findings(found, ["unknown"], None)


def test_different_services_are_never_one(client: Client, tmp_path: Path) -> None:
    path = tmp_path / "svc-trace.toml"
    path.write_text('[services.six]\nhosts = ["::1"]\n[services.four]\nhosts = ["127.0.0.1"]')
    client.tries("[::1]", "127.0.0.1!")
    trace = client.trace()
    sockets = Sockets(trace, Identifier(load_config(path, tmp_path)), Places(trace))
    found = [(one.service.name, one.flow.endpoint.host) for one in sockets.named_flows()]
    assert found == [("six", "::1"), ("four", "127.0.0.1")]


HOSTS = *(f"[{host}]" if ":" in host else host for host in LOCALHOST), V4, V6, OTHER_V4
attempts = st.tuples(
    st.sampled_from(HOSTS),
    st.booleans(),  # answers
    st.sampled_from([MAIN, 7]),
    st.booleans(),  # in another test
    st.sampled_from([5432, 40_000]),
)


@given(st.lists(attempts, max_size=12))
def test_each_attempt_counts_once_and_only_a_connection_takes_others(
    tried: list[tuple[str, bool, int, bool, int]],
) -> None:
    client = Client()
    _, other = client.test("a.py::other", client.runner, client.session)
    for host, answers, tid, elsewhere, port in tried:
        client.tries(host + "!" * answers, tid=tid, port=port, span=other if elsewhere else 0)
    found = named(client)
    assert [flow.socket for flow in found] == [flow.socket for flow in client.flows]
    assert [flow.connects for flow in found] == [1] * len(tried)
    for old, new in zip(client.flows, found, strict=True):
        if new.endpoint != old.endpoint:
            assert not old.established
            assert new.spans == old.spans
            later = {(one.endpoint, one.spans) for one in client.flows if one.first_ns > old.first_ns and one.sends}
            assert (new.endpoint, old.spans) in later
            assert new.endpoint == Endpoint("tcp", new.endpoint.host, old.endpoint.port)
            assert ({old.endpoint.host, new.endpoint.host} == {*LOCALHOST}) or (
                (":" in old.endpoint.host) != (":" in new.endpoint.host)
            )
        else:
            assert new == old
    connections = Counter(flow.endpoint for flow in client.flows if flow.sends)
    assert Counter(flow.endpoint for flow in found if flow.sends) == connections
