"""A daemon that talks when a suite tells it to. Standard library only, Python from 3.8."""

from __future__ import annotations

import os
import socket
from typing import Dict, Optional

import peers


class Daemon:
    """A process of its own session. It asks each peer that it is told to, on a connection that it keeps.

    `listens_at`: an address in the unix family, at which it listens too.
    """

    def __init__(self, listens_at: Optional[str] = None) -> None:
        orders, self.orders = os.pipe()
        self.answers, answers = os.pipe()
        pid = os.fork()
        if pid == 0:
            os.setsid()
            if os.fork():
                os._exit(0)
            os.close(self.orders)
            os.close(self.answers)
            try:
                serve(orders, answers, listens_at)
            finally:
                os._exit(0)
        os.close(orders)
        os.close(answers)
        os.waitpid(pid, 0)

    def ask(self, peer: str) -> None:
        """Let it ask a peer, by name, and wait until it has the answer."""
        os.write(self.orders, peer.encode().ljust(8))
        assert os.read(self.answers, 1)

    def stop(self) -> None:
        """Wait until it is gone."""
        os.close(self.orders)
        assert os.read(self.answers, 1) == b""
        os.close(self.answers)


def serve(orders: int, answers: int, listens_at: Optional[str]) -> None:
    """Ask each peer named on the one pipe, and tell on the other that it has answered."""
    listener = socket.socket(socket.AF_UNIX)
    if listens_at is not None:
        listener.bind(listens_at)
        listener.listen()
    connections: Dict[str, socket.socket] = {}
    while peer := os.read(orders, 8).decode().strip():
        if peer not in connections:
            connections[peer] = getattr(peers, peer).connect()
        peers.ask(connections[peer])
        os.write(answers, b".")
