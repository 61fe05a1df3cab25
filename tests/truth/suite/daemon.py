"""A daemon that sends when a suite requests it. Standard library only, Python 3.8 and later."""

from __future__ import annotations

import os
import socket
from typing import Dict, Optional

import peers
from settled import settle


class Daemon:
    """A process in its own session. On request it sends to a peer and keeps the connection.

    `listens_at`: address of a unix socket on which it also listens.
    """

    def __init__(self, listens_at: Optional[str] = None) -> None:
        requests, self.requests = os.pipe()
        self.answers, answers = os.pipe()
        pid = os.fork()
        if pid == 0:
            os.setsid()
            if os.fork():
                os._exit(0)
            os.close(self.requests)
            os.close(self.answers)
            try:
                serve(requests, answers, listens_at)
            finally:
                os._exit(0)
        os.close(requests)
        os.close(answers)
        os.waitpid(pid, 0)

    def ask(self, peer: str) -> None:
        """Let the daemon send to a peer, by name, and wait until the peer has answered."""
        settle()
        os.write(self.requests, peer.encode().ljust(8))
        assert os.read(self.answers, 1)

    def stop(self) -> None:
        """End the daemon and wait for its end."""
        os.close(self.requests)
        assert os.read(self.answers, 1) == b""
        os.close(self.answers)


def serve(requests: int, answers: int, listens_at: Optional[str]) -> None:
    """Send to each peer whose name comes from `requests`. Write a byte to `answers` after the peer's answer."""
    listener = socket.socket(socket.AF_UNIX)
    if listens_at is not None:
        listener.bind(listens_at)
        listener.listen()
    connections: Dict[str, socket.socket] = {}
    while peer := os.read(requests, 8).decode().strip():
        if peer not in connections:
            connections[peer] = getattr(peers, peer).connect()
        peers.ask(connections[peer])
        os.write(answers, b".")
