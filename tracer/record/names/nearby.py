"""Endpoints on this machine and in private networks: their names, from a container engine or from a Compose file."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterable, Mapping
from functools import lru_cache
from ipaddress import ip_address
from pathlib import Path
from time import monotonic, monotonic_ns
from typing import Final

from msgspec import Struct

from tracer.record.capture.protocol import Kind, SocketEvent
from tracer.record.listeners import listening_users
from tracer.record.names.containers import is_loopback, name_at
from tracer.record.names.engine import Engine
from tracer.trace.endpoint import Endpoint
from tracer.trace.ids import UNKNOWN_NETWORK, NetworkNamespace
from tracer.trace.records import HostName, Listen, Listener, NameSource

_PAUSE_NS: Final = 200_000_000
"""Between two questions to the engine. An answer takes it less than a millisecond, if it has few containers."""
_REMEMBERED: Final = 10_000
"""Endpoints that are remembered."""
_FORWARDERS: Final = frozenset(
    {
        "com.docker.backend",
        "conmon",
        "docker-proxy",
        "dockerd",
        "pasta",
        "pasta.avx2",
        "rootlesskit",
        "rootlessport",
        "slirp4netns",
    }
)
"""Programs that listen at the ports of containers: of Docker, Docker Desktop, rootless Docker, and Podman."""


class _Nearby(Struct):
    """An endpoint that the tree has reached."""

    network: NetworkNamespace
    local: bool  # at an address of this machine
    serves: bool = False  # a connection was established, or something was sent
    decided: bool = False  # it has a name, or no container serves it


class NearbyEndpoints:
    """The endpoints in the tracer's own network namespace that a container may serve.

    The engine is asked when an endpoint is reached for the first time, and again when it answers for the first time:
    its container may have been started in between. A server of the tree is no container.
    """

    def __init__(self, write: Callable[[HostName], None], engine: Engine) -> None:
        self._write = write
        self._engine = engine
        self._network = NetworkNamespace(os.stat("/proc/self/ns/net").st_ino)  # noqa: PTH116 -- as listeners.py
        self._known: dict[Endpoint, _Nearby] = {}
        self._own_servers: set[tuple[str, int]] = set()  # protocol and port
        self._due: dict[Endpoint, bool] = {}  # endpoints to ask for → whether they serve
        self._asked: dict[Endpoint, bool] = {}  # those of the question that is not answered yet
        self._asked_ns = -_PAUSE_NS

    def listened(self, listen: Listen) -> None:
        """A process of the tree listens, or stops to."""
        if listen.network in (UNKNOWN_NETWORK, self._network):
            self._own_servers.add((listen.endpoint.protocol, listen.endpoint.port))

    def reached(self, event: SocketEvent) -> None:
        """A process of the tree connects or sends to an endpoint."""
        endpoint = event.endpoint
        nearby = self._known.get(endpoint)
        if nearby is None:
            if not self._may_be_container(event):
                return
            nearby = self._known[endpoint] = _Nearby(event.network, event.local)
            self._due[endpoint] = False
        if not nearby.serves and event.result >= 0 and event.kind in (Kind.SEND, Kind.CONNECT_RESULT):
            nearby.serves = True
            nearby.local = nearby.local or event.local
            if not nearby.decided:
                self._due[endpoint] = True

    def _may_be_container(self, event: SocketEvent) -> bool:
        endpoint = event.endpoint
        return (
            (event.local or _is_near(endpoint.host))
            and endpoint.protocol in ("tcp", "udp")
            and event.network in (UNKNOWN_NETWORK, self._network)
            and not self._is_own(endpoint)
            and len(self._known) < _REMEMBERED
        )

    def turn(self, ns: int, pause_ns: int = _PAUSE_NS) -> None:
        """Take the engine's answer, or ask; `ns` is now."""
        if self._asked:
            self._take_answer(ns)
        elif self._due and ns - self._asked_ns >= pause_ns:
            due, self._due = self._due, {}
            undecided = {endpoint: served for endpoint, served in due.items() if not self._known[endpoint].decided}
            if undecided and self._engine.ask(ns):
                self._asked, self._asked_ns = undecided, ns

    def _take_answer(self, ns: int) -> None:
        containers = self._engine.answer(ns)
        if containers is not None:
            for endpoint, served in self._asked.items():
                if not self._is_own(endpoint):
                    nearby = self._known[endpoint]
                    name = name_at(containers, endpoint, local=nearby.local)
                    nearby.decided = served
                    self._name(endpoint, name, "container")
        if not self._engine.is_asked:
            self._asked = {}

    def finish(
        self, listeners: Collection[Listener], directory: Path, environment: Mapping[str, str], seconds: float
    ) -> None:
        """After the run: ask for the rest, for so long at most. Then read the Compose files of the user's directory.

        An endpoint has no name from a Compose file if the engine has answered that no container serves it.
        """
        deadline = monotonic() + seconds
        while (self._asked or (self._due and self._engine.is_known)) and (left := deadline - monotonic()) > 0:
            self.turn(monotonic_ns(), pause_ns=0)
            self._engine.wait(left)
        self._engine.give_up()
        unnamed = {
            endpoint: nearby
            for endpoint, nearby in self._known.items()
            if not nearby.decided and (nearby.local or is_loopback(endpoint.host)) and not self._is_own(endpoint)
        }
        if not unnamed:
            return
        from tracer.record.names.compose import published_by, service_at  # few runs need it

        published = published_by(directory, environment)
        for endpoint in unnamed:
            name = service_at(published, endpoint, local=True)
            if name and may_be_container(endpoint, listeners):
                self._name(endpoint, name, "compose")

    def _is_own(self, endpoint: Endpoint) -> bool:
        return (endpoint.protocol, endpoint.port) in self._own_servers

    def _name(self, endpoint: Endpoint, name: str, source: NameSource) -> None:
        if name:
            nearby = self._known[endpoint]
            nearby.decided = True
            self._write(HostName(name, endpoint.host, source, network=nearby.network, port=endpoint.port))


def may_be_container(endpoint: Endpoint, listeners: Iterable[Listener]) -> bool:
    """Whether what listens at a port of this machine, after the run, may stand for a container, or nothing listens.

    A process that this user may see has to be a container engine's. Of another one, only the user is known: engines
    that other users may not see run as root, unlike most servers that a distribution installs.
    """
    port = endpoint.protocol, endpoint.port
    commands = {one.command for one in listeners if (one.endpoint.protocol, one.endpoint.port) == port}
    if commands:
        return commands <= _FORWARDERS
    return listening_users(*port) <= {0}


@lru_cache(maxsize=1024)
def _is_near(host: str) -> bool:
    address = ip_address(host)
    return address.is_private and not address.is_unspecified
