"""The processes that listen at endpoints of this machine. A report names them if no rule names the endpoint."""

from __future__ import annotations

import socket
from collections.abc import Callable, Collection, Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tracer.trace.endpoint import Endpoint, canonical_host
from tracer.trace.ids import NetworkNamespace
from tracer.trace.records import Listener

if TYPE_CHECKING:
    from psutil._ntuples import sconn

_RANDOM_PORTS: Final = Path("/proc/sys/net/ipv4/ip_local_port_range")
_NETWORK: Final = Path("/proc/self/ns/net")
_TCP_LISTENS, _UDP_UNCONNECTED = "0A", "07"  # TCP_LISTEN, TCP_CLOSE (include/net/tcp_states.h)


def listeners(reached: Collection[Endpoint]) -> Iterator[Listener]:
    """The processes that listen now at endpoints of this machine, in the tracer's own network namespace.

    Only those that this user may see. A record has the name of the process, not its arguments: they may hold secrets.

    Args:
        reached: endpoints to look for. A listener at the same port of another address, such as the wildcard, is
            returned too.
    """
    wanted = {endpoint.at("") for endpoint in reached}
    if wanted:
        yield from _all(lambda endpoint: endpoint.at("") in wanted)


def tcp_listeners() -> Iterator[Listener]:
    """The processes that listen now at a fixed TCP port of this machine, as `listeners` returns them.

    Ports from which the kernel chooses are left out: a server may have another one tomorrow (ip(7)).
    """
    try:
        first, last = map(int, _RANDOM_PORTS.read_text().split())
    except OSError:  # a /proc that is hidden
        return
    yield from _all(lambda endpoint: endpoint.protocol == "tcp" and not first <= endpoint.port <= last)


def _all(is_wanted: Callable[[Endpoint], bool]) -> Iterator[Listener]:
    import psutil  # only needed after the run, and slow to import

    with suppress(psutil.Error, OSError):  # a /proc that is hidden
        network = NetworkNamespace(_NETWORK.stat().st_ino)
        listening = {
            (connection.pid, endpoint)
            for connection in psutil.net_connections("all")
            if connection.pid and (endpoint := _listening_at(connection))
        }
        for pid, endpoint in sorted(listening):
            if is_wanted(endpoint):
                with suppress(psutil.Error):  # it has ended
                    yield Listener(endpoint, network, psutil.Process(pid).name())


def listening_users(protocol: str, port: int) -> set[int]:
    """The users whose sockets listen at a port of TCP or UDP, in the tracer's own network namespace (proc_net(5)).

    They are known of all sockets, unlike the processes. A user without a number in this user namespace is 65534.
    """
    listens = _TCP_LISTENS if protocol == "tcp" else _UDP_UNCONNECTED
    users = set[int]()
    for table in (protocol, f"{protocol}6"):
        with suppress(OSError):  # a kernel without IPv6
            for line in Path("/proc/net", table).read_text().splitlines()[1:]:
                _, own, _, state, _, _, _, user, *_ = line.split()
                if state == listens and int(own.rpartition(":")[2], 16) == port:
                    users.add(int(user))
    return users


def _listening_at(connection: sconn) -> Endpoint | None:
    """The endpoint at which a socket can be reached; None: it has a peer, has no address, or does not listen."""
    if not connection.laddr or connection.raddr:
        return None
    if connection.family == socket.AF_UNIX:
        return Endpoint("unix", path=str(connection.laddr))
    if connection.type == socket.SOCK_STREAM and connection.status != "LISTEN":
        return None
    host = canonical_host(socket.inet_pton(connection.family, connection.laddr.ip.partition("%")[0]))
    return Endpoint("tcp" if connection.type == socket.SOCK_STREAM else "udp", host, connection.laddr.port)
