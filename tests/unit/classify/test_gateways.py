"""Services behind one gateway, by the paths of their requests."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from trace_builder import MAIN, TraceBuilder, classified

from tracer.classify.gateways import split
from tracer.classify.services.config import load_config
from tracer.classify.services.identify import Identification
from tracer.classify.services.paths import RequestPath
from tracer.trace.ids import SpanId
from tracer.trace.records import Flow

GATEWAY = "tcp://10.0.0.5:80"
RULES = """
[services.users]
hosts = ["gateway.internal"]
paths = ["/api/users"]

[services.orders]
hosts = ["gateway.internal"]
paths = ["/api/orders", "/api/carts"]

[services.gateway]
hosts = ["gateway.internal"]
"""


class Client(TraceBuilder):
    """Tests that use one connection to a gateway."""

    def __init__(self, directory: Path, rules: str = RULES) -> None:
        super().__init__()
        self.runner = self.process()
        self.session = self.open("session", self.runner)
        self.names("gateway.internal", "10.0.0.5", "10.0.0.6")
        path = directory / "svc-trace.toml"
        path.write_text(rules)
        self.config = load_config(path, directory)

    def requests(self, *first: str, later: tuple[str, ...] = (), connects: int = 0, sends: int = 0) -> None:
        """A test that sends requests: the first ones of the connection, and later ones."""
        test, call = self.test(f"a.py::{len(self.attempts)}", self.runner, self.session)
        self.send(
            GATEWAY,
            call,
            connects=connects,
            sends=sends or len(first) + len(later),
            prefixes=tuple(f"{request} HTTP/1.1\r\nHost: gateway".encode()[:32] for request in first),
            heads=tuple(f"{request} HTTP/1.1\r\nHost: gateway".encode()[:16] for request in later),
        )
        self.finish(test, call)

    def services(self) -> list[tuple[str, ...]]:
        """The services of each test."""
        return [test.services for test in classified(self.trace(), self.config).tests.values()]


@pytest.fixture
def client(tmp_path: Path) -> Client:
    return Client(tmp_path)


def test_a_connection_that_two_tests_use_is_split_by_test(client: Client) -> None:
    client.requests("GET /api/users", connects=1)
    client.requests(later=("GET /api/carts",))
    client.requests("GET /health")
    assert client.services() == [("users",), ("orders",), ("gateway",)]


def test_a_test_without_a_known_request_uses_the_first_service_of_the_connection(client: Client) -> None:
    client.requests("GET /api/orders", connects=1)
    client.requests(sends=5)
    assert client.services() == [("orders",), ("orders",)]


def test_one_flow_may_be_for_several_services(client: Client) -> None:
    client.requests("POST /api/users", "GET /api/carts", "GET /api/orders", connects=1, sends=6)
    (test,) = classified(client.trace(), client.config).tests.values()
    counts = {one.service: (one.connects, one.sends, one.bytes, one.operations) for one in test.evidence}
    assert counts == {"users": (1, 4, 60, ("POST",)), "orders": (0, 2, 0, ("GET",))}


@pytest.mark.parametrize(
    ("later", "services"),
    [
        ("DELETE /api/users/7", ("users",)),  # 16 bytes show `/api/user`
        ("DELETE /api/carts/7", ("orders",)),
        ("DELETE /api/other/7", ("gateway",)),
        ("OPTIONS /api/users", ("users",)),
    ],
)
def test_a_path_that_is_cut_off_shows_the_service_that_it_may_be(
    client: Client, later: str, services: tuple[str, ...]
) -> None:
    client.requests("GET /api/orders", connects=1)
    client.requests(later=(later,))
    assert client.services()[1] == services


@pytest.mark.parametrize(
    ("first", "services"),
    [("GET /company/service-b", ("b",)), ("GET /company/other", ("rest",)), ("GET /health", ("rest",))],
)
def test_if_a_path_may_be_several_services_the_first_request_counts_if_it_is_alike(
    tmp_path: Path, first: str, services: tuple[str, ...]
) -> None:
    rules = "".join(f'[services.{one}]\npaths = ["/company/service-{one}"]\n' for one in "ab")
    client = Client(tmp_path, f'{rules}[services.rest]\npaths = ["/"]\n')
    client.requests(first, connects=1)
    client.requests(later=("GET /company/service-b",))  # 16 bytes show `/company/ser`
    assert client.services()[1] == services


def test_a_refused_attempt_counts_at_the_address_that_answered(client: Client) -> None:
    """Whatever is requested there."""
    test, call = client.test("a.py::test", client.runner, client.session)
    client.send("tcp://10.0.0.6:80", call, socket=2, connects=1, sends=0, errors={"ECONNREFUSED": 1})
    client.send(GATEWAY, call, connects=1, prefixes=(b"GET /api/users HTTP/1.1",))
    client.finish(test, call)
    assert client.services() == [("users",)]


def test_a_service_that_is_ignored_leaves_the_others(tmp_path: Path) -> None:
    client = Client(tmp_path, '[services.health]\npaths = ["/health"]\nignore = true\n' + RULES)
    client.requests("GET /health", "GET /api/users", connects=1)
    assert client.services() == [("users",)]


WORDS = "a", "b", "none"
SERVICES = {word: Identification(word, "http", ignored=False) for word in WORDS}


def service_of(requests: tuple[RequestPath, ...]) -> Identification:
    return SERVICES[requests[0].text.strip("/") if requests else "none"]


beginnings = st.sampled_from([*(f"GET /{word} HTTP/1.1".encode().hex() for word in WORDS), "00"])


@given(st.lists(beginnings, max_size=4), st.dictionaries(beginnings, st.integers(1, 9)), st.integers(0, 50))
def test_parts_add_up(prefixes: list[str], heads: dict[str, int], sends: int) -> None:
    """Some sends may have failed."""
    flow = TraceBuilder().send(GATEWAY, SpanId(1), tid=MAIN, connects=1, sends=sends)
    flow = replace(flow, prefixes=tuple(prefixes), heads=heads)
    parts = list(split(flow, None, service_of))
    assert len({service for _, service in parts}) == len(parts)
    for name in ("sends", "bytes", "connects", "established"):
        assert sum(getattr(part, name) for part, _ in parts) == getattr(flow, name)

    def known(flows: list[Flow]) -> Counter[str]:
        return Counter(beginning for one in flows for begin, count in one.beginnings() for beginning in [begin] * count)

    assert known([part for part, _ in parts]) == known([flow])
    for part, service in parts:
        requested = {bytes.fromhex(begin).split()[1].decode() for begin, _ in part.beginnings() if begin != "00"}
        assert requested <= {f"/{service.name}"}
