"""Who listens at an endpoint of this machine: what is told of one that no rule names."""

from __future__ import annotations

import socket
from collections.abc import Collection, Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tracer.trace.endpoint import Endpoint, canonical_host
from tracer.trace.records import Listener

if TYPE_CHECKING:
    from psutil._ntuples import sconn

_NETWORK: Final = Path("/proc/self/ns/net")


def listeners(reached: Collection[str]) -> Iterator[Listener]:
    """The processes that listen now at endpoints of this machine, as far as this user may see them.

    In the tracer's own network namespace. Names of processes alone: their arguments may hold secrets.

    Args:
        reached: endpoints to look for. Listeners at another address and the same port, such as a wildcard's, are told
            too.
    """
    wanted = {_door(Endpoint.parse(text)) for text in reached}
    if not wanted:
        return
    import psutil  # only needed after the run, and slow to import

    with suppress(psutil.Error, OSError):  # a /proc that is hidden
        network = _NETWORK.stat().st_ino
        found = {
            (one.pid, endpoint) for one in psutil.net_connections("all") if one.pid and (endpoint := _own_end(one))
        }
        for pid, endpoint in sorted(found, key=str):
            if _door(endpoint) in wanted:
                with suppress(psutil.Error):  # it has gone
                    yield Listener(str(endpoint), network, psutil.Process(pid).name())


def _door(endpoint: Endpoint) -> tuple[str, int, str]:
    """An endpoint without its address."""
    return endpoint.protocol, endpoint.port, endpoint.path


def _own_end(one: sconn) -> Endpoint | None:
    """Where a socket can be reached: one that listens on TCP, has a UDP port or a unix name, and no peer."""
    if not one.laddr or one.raddr:
        return None
    if one.family == socket.AF_UNIX:
        return Endpoint("unix", path=str(one.laddr))
    if one.type == socket.SOCK_STREAM and one.status != "LISTEN":
        return None
    host = canonical_host(socket.inet_pton(one.family, one.laddr.ip.partition("%")[0]))
    return Endpoint("tcp" if one.type == socket.SOCK_STREAM else "udp", host, one.laddr.port)
