"""Asks Docker's engine, or Podman, which has the same API, which containers run.

The answer to `GET /containers/json` lists the running containers. Source: moby/moby, api/swagger.yaml (ContainerList).
The request has no version, so that every engine accepts it, and is of HTTP/1.0, so that the engine closes the
connection behind the answer. The tracer asks as the invoking user.
"""

from __future__ import annotations

import select
import socket
from collections.abc import Iterable, Mapping
from typing import Final

from tracer.record.names.containers import Container, containers_in

_REQUEST: Final = b"GET /containers/json HTTP/1.0\r\nHost: docker\r\nAccept: application/json\r\n\r\n"
_TIME_NS: Final = 5_000_000_000
"""How long an answer may take. The tracer goes on meanwhile; systemd may have to start Podman for it."""
_LIMIT: Final = 8 << 20
"""Bytes of an answer: a container has some two thousand."""


def sockets_of(environment: Mapping[str, str], uid: int) -> list[str]:
    """Where the engine's socket may be, for a user with this environment. Empty: the engine is on another machine."""
    if host := environment.get("DOCKER_HOST"):
        return [host.removeprefix("unix://")] if host.startswith("unix://") else []
    directory = environment.get("XDG_RUNTIME_DIR") or f"/run/user/{uid}"
    users = f"{directory}/docker.sock", f"{directory}/podman/podman.sock"
    return ["/var/run/docker.sock", *users, "/run/podman/podman.sock"]


class Engine:
    """Asks a container engine which containers run. Only `wait` waits."""

    def __init__(self, sockets: Iterable[str]) -> None:
        """`sockets`: paths; the first at which a process listens is used."""
        self._sockets = [*sockets]
        self._connection: socket.socket | None = None
        self._answer = bytearray()
        self._asked_ns = 0

    @property
    def is_known(self) -> bool:
        """Whether there may be an engine: none has failed so far."""
        return bool(self._sockets)

    @property
    def is_asked(self) -> bool:
        """Whether an answer may come."""
        return self._connection is not None

    def ask(self, ns: int) -> bool:
        """Ask; `ns` is now. False: there is no engine, or this user may not use it."""
        while self._sockets:
            connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
            try:
                connection.connect(self._sockets[0])
                connection.send(_REQUEST)
            except (OSError, ValueError):  # ValueError: no path can be so
                connection.close()
                del self._sockets[0]
            else:
                del self._sockets[1:]
                self._connection, self._asked_ns = connection, ns
                return True
        return False

    def answer(self, ns: int) -> list[Container] | None:
        """The containers, as soon as the whole answer is there; `ns` is now.

        An engine that takes too long, or gives another answer than it should, is not asked again.
        """
        if self._connection is None:
            return None
        try:
            while part := self._connection.recv(1 << 16):
                self._answer += part
                if len(self._answer) > _LIMIT:
                    self.give_up()
                    return None
        except BlockingIOError:
            if ns - self._asked_ns > _TIME_NS:
                self.give_up()
            return None
        except OSError:
            self.give_up()
            return None
        answer, self._answer = self._answer, bytearray()
        self._connection.close()
        self._connection = None
        containers = containers_in(answer)
        if containers is None:
            self.give_up()
        return containers

    def wait(self, seconds: float) -> None:
        """Wait until something of the answer arrives, for so long at most."""
        if self._connection:
            select.select([self._connection], [], [], seconds)

    def give_up(self) -> None:
        """Ask no more."""
        if self._connection:
            self._connection.close()
        self._connection = None
        self._sockets.clear()
