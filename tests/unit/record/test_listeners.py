from __future__ import annotations

import os
import socket
from contextlib import suppress
from pathlib import Path

import pytest

from tracer.record.listeners import listeners, listening_users, tcp_listeners
from tracer.trace.endpoint import Endpoint

HERE = os.stat("/proc/self/ns/net").st_ino  # noqa: PTH116 -- as listeners says it
NAME = Path("/proc/self/comm").read_text().strip()


@pytest.mark.parametrize(("host", "bound"), [("127.0.0.1", "127.0.0.1"), ("0.0.0.0", "0.0.0.0"), ("::1", "[::1]")])
def test_who_listens_at_a_port_is_told_whatever_address_it_is_bound_to(host: str, bound: str) -> None:
    with socket.create_server((host, 0), family=socket.AF_INET6 if ":" in host else socket.AF_INET) as server:
        port = server.getsockname()[1]
        (listener,) = listeners({Endpoint("tcp", "127.0.0.1", port)})
        assert (str(listener.endpoint), listener.network) == (f"tcp://{bound}:{port}", HERE)
        assert listener.command.startswith(NAME)  # psutil has the whole name where comm is cut


def test_datagram_and_unix_servers_are_told(tmp_path: Path) -> None:
    path = str(tmp_path / "s")
    with socket.socket(type=socket.SOCK_DGRAM) as datagrams, socket.socket(socket.AF_UNIX) as unix:
        datagrams.bind(("127.0.0.1", 0))
        unix.bind(path)
        unix.listen()
        port = datagrams.getsockname()[1]
        used = {Endpoint("udp", "127.0.0.1", port), Endpoint("unix", path=path)}
        assert {listener.endpoint for listener in listeners(used)} == used


def test_fixed_ports_of_tcp_are_told() -> None:
    first, last = map(int, Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split())
    with socket.create_server(("127.0.0.1", 0)) as random, socket.socket() as fixed:
        for port in range(first - 1, 1023, -1):
            with suppress(OSError):  # another server has it
                fixed.bind(("127.0.0.1", port))
                break
        fixed.listen()
        ports = {listener.endpoint.port for listener in tcp_listeners()}
        assert fixed.getsockname()[1] in ports
        assert random.getsockname()[1] not in ports
        assert not [port for port in ports if first <= port <= last]


def test_nobody_else_is_told() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        with socket.create_connection(server.getsockname()) as connection:
            used = [bound.getsockname()[1], connection.getsockname()[1]]
            assert list(listeners({Endpoint("tcp", "127.0.0.1", port) for port in used})) == []
    assert list(listeners(set())) == []


def test_the_users_whose_sockets_listen_at_a_port() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, socket.socket(type=socket.SOCK_DGRAM) as datagrams:
        port = server.getsockname()[1]
        assert listening_users("tcp", port) == {os.getuid()}
        datagrams.bind(("127.0.0.1", 0))
        assert listening_users("udp", datagrams.getsockname()[1]) == {os.getuid()}
        with socket.create_connection(server.getsockname()) as connection:
            assert listening_users("tcp", connection.getsockname()[1]) == set()
    assert listening_users("tcp", port) == set()
