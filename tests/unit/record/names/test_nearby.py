from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from engine_stand_in import RECORDED, engine_at
from plain import plain

from tracer.record.capture.protocol import Kind, SocketEvent
from tracer.record.listeners import listeners
from tracer.record.names.engine import Engine
from tracer.record.names.nearby import NearbyEndpoints, may_be_container
from tracer.trace import records
from tracer.trace.endpoint import Endpoint
from tracer.trace.ids import NetworkNamespace
from tracer.trace.records import HostName

HERE = NetworkNamespace(Path("/proc/self/ns/net").stat().st_ino)
ELSEWHERE = NetworkNamespace(1)
SECOND_NS = 1_000_000_000
EMPTY = b"HTTP/1.1 200 OK\r\n\r\n[]"
COMPOSE = "services: {db: {ports: ['15432:5432']}, other: {ports: ['16379:6379']}}"
DB = Endpoint.parse("tcp://127.0.0.1:15432")
Listen = plain(records.Listen)


def event(endpoint: Endpoint, kind: Kind = Kind.SEND, *, network: int = HERE, result: int = 0) -> SocketEvent:
    return plain(SocketEvent)(1, kind, 1, 1, 1, network, endpoint, result)


@contextmanager
def nearby_with(tmp_path: Path, *answers: bytes) -> Iterator[tuple[NearbyEndpoints, list[HostName], list[bytes]]]:
    """With a stand-in engine: what is written, and the requests that the engine gets."""
    written: list[HostName] = []
    with engine_at(tmp_path / "s", *answers) as requests:
        yield NearbyEndpoints(written.append, Engine([str(tmp_path / "s")])), written, requests


def names(written: list[HostName]) -> list[tuple[str, str, int, str]]:
    return [(record.name, record.address, record.port, record.source) for record in written]


def test_an_endpoint_gets_the_name_of_its_container(tmp_path: Path) -> None:
    with nearby_with(tmp_path, RECORDED.read_bytes()) as (nearby, written, requests):
        for endpoint in ("tcp://127.0.0.1:15432", "tcp://[::1]:15432", "tcp://10.77.0.2:5432", "tcp://127.0.0.1:1"):
            nearby.reached(event(Endpoint.parse(endpoint)))
            nearby.reached(event(Endpoint.parse(endpoint)))
        nearby.finish([], tmp_path, {}, 60)
    assert len(requests) == 1
    assert names(written) == [
        ("db", "127.0.0.1", 15432, "container"),
        ("db", "::1", 15432, "container"),
        ("db", "10.77.0.2", 5432, "container"),
    ]
    assert {record.network for record in written} == {HERE}


@pytest.mark.parametrize(
    ("endpoint", "network"),
    [
        ("tcp://93.184.215.14:443", HERE),
        ("tcp://127.0.0.1:15432", ELSEWHERE),
        ("sctp://127.0.0.1:15432", HERE),
        ("tcp://0.0.0.0:15432", HERE),
        ("tcp://127.0.0.1:8000", HERE),  # the tree itself listens there
    ],
)
def test_for_other_endpoints_no_engine_is_asked(tmp_path: Path, endpoint: str, network: int) -> None:
    with nearby_with(tmp_path) as (nearby, _, requests):
        nearby.listened(Listen(1, Endpoint("tcp", "0.0.0.0", 8000), HERE, 1))
        nearby.reached(event(Endpoint.parse(endpoint), network=network))
        nearby.turn(SECOND_NS)
        nearby.finish([], tmp_path, {}, 0)
    assert requests == []


def test_an_endpoint_that_begins_to_answer_is_asked_for_again(tmp_path: Path) -> None:
    """Its container was started in between, by the suite. A third time changes nothing."""
    with nearby_with(tmp_path, EMPTY, RECORDED.read_bytes()) as (nearby, written, requests):
        engine = nearby._engine
        for number, result in enumerate([-111, -111, 0, 0]):
            nearby.reached(event(DB, Kind.CONNECT))
            nearby.reached(event(DB, Kind.CONNECT_RESULT, result=result))
            ns = SECOND_NS * (1 + number)
            nearby.turn(ns)
            while engine.is_asked:
                engine.wait(60)
                nearby.turn(ns + 1)
    assert len(requests) == 2
    assert names(written) == [("db", "127.0.0.1", 15432, "container")]


def test_the_engine_is_not_asked_in_each_turn(tmp_path: Path) -> None:
    with nearby_with(tmp_path, EMPTY, EMPTY, EMPTY) as (nearby, _, requests):
        for number in range(50):
            nearby.reached(event(Endpoint("tcp", "127.0.0.1", 2000 + number)))
            nearby.turn(SECOND_NS + 10_000_000 * number)
            nearby._engine.wait(60)
    assert 2 <= len(requests) <= 3


@pytest.mark.parametrize("answers", [(), (b"garbage",)])
def test_without_an_answer_the_compose_file_names_the_endpoint(tmp_path: Path, answers: tuple[bytes, ...]) -> None:
    (tmp_path / "compose.yaml").write_text(COMPOSE)
    written: list[HostName] = []
    with engine_at(tmp_path / "s", *answers):
        nearby = NearbyEndpoints(written.append, Engine([str(tmp_path / "s")] if answers else []))
        nearby.reached(event(DB))
        nearby.reached(event(Endpoint("tcp", "10.77.0.2", 15432)))
        nearby.finish([], tmp_path, {}, 60)
    assert names(written) == [("db", "127.0.0.1", 15432, "compose")]


def test_the_engine_wins_over_the_compose_file(tmp_path: Path) -> None:
    """What it does not know is no container. A port where nothing answers may be that of a stopped one."""
    (tmp_path / "compose.yaml").write_text(COMPOSE.replace("db", "wrong"))
    with nearby_with(tmp_path, RECORDED.read_bytes()) as (nearby, written, _):
        nearby.reached(event(DB))
        nearby.reached(event(Endpoint("tcp", "::1", 16379)))
        nearby.reached(event(Endpoint("tcp", "127.0.0.1", 16379), Kind.CONNECT_RESULT, result=-111))
        nearby.finish([], tmp_path, {}, 60)
    assert names(written) == [("db", "127.0.0.1", 15432, "container"), ("other", "127.0.0.1", 16379, "compose")]


def test_a_server_of_the_tree_is_no_service_of_a_compose_file(tmp_path: Path) -> None:
    (tmp_path / "compose.yaml").write_text(COMPOSE)
    with nearby_with(tmp_path, RECORDED.read_bytes()) as (nearby, written, _):
        nearby.reached(event(DB, Kind.CONNECT_RESULT, result=-111))
        nearby.listened(Listen(1, DB, HERE, 1))
        nearby.finish([], tmp_path, {}, 60)
    assert written == []


def test_memory_is_bounded(tmp_path: Path) -> None:
    with nearby_with(tmp_path) as (nearby, _, _):
        for number in range(20_000):
            nearby.reached(event(Endpoint("tcp", f"10.0.{number // 250}.{number % 250}", 80)))
        assert len(nearby._known) == len(nearby._due) == 10_000


@pytest.mark.parametrize("protocol", ["tcp", "udp"])
def test_a_port_of_another_program_is_no_containers(protocol: str) -> None:
    kind = socket.SOCK_STREAM if protocol == "tcp" else socket.SOCK_DGRAM
    with socket.socket(type=kind) as server:
        server.bind(("127.0.0.1", 0))
        endpoint = Endpoint(protocol, "127.0.0.1", server.getsockname()[1])
        if protocol == "tcp":
            assert may_be_container(endpoint, [])
            server.listen()
        found = [*listeners({endpoint})]
        assert found
        assert not may_be_container(endpoint, found)
        assert may_be_container(endpoint, [plain(records.Listener)(endpoint, HERE, "docker-proxy")])
    assert may_be_container(endpoint, [])
