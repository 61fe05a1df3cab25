"""A server of the suite, in a thread of its own. Standard library only, Python 3.8 and later."""

from __future__ import annotations

import socket
from contextlib import contextmanager
from threading import Thread
from typing import Iterator

from peers import ask


@contextmanager
def served(clients: int = 1, host: str = "127.0.0.1", port: int = 0) -> Iterator[int]:
    """An echo, which ends after so many clients; yields its port. `::` serves IPv4, too."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if ":" in host:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        listener.bind((host, port))
        listener.listen()

        def answer() -> None:
            for _ in range(clients):
                with listener.accept()[0] as client:
                    client.sendall(client.recv(100))

        thread = Thread(target=answer)
        thread.start()
        yield listener.getsockname()[1]
        thread.join()


def ask_at(host: str, port: int) -> None:
    """Connect, send, wait for the answer, close."""
    with socket.create_connection((host, port)) as sock:
        ask(sock)
