"""A stand-in for a container engine: a thread that answers at a unix socket."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Thread

RECORDED = Path(__file__).with_name("answers") / "docker-20.10.http"


@contextmanager
def engine_at(path: Path, *answers: bytes) -> Iterator[list[bytes]]:
    """Answer one request after the other with these bytes, and close. Yields the requests that have arrived."""
    requests: list[bytes] = []

    def serve() -> None:
        for answer in answers:
            connection, _ = server.accept()
            with connection, suppress(OSError):
                requests.append(connection.recv(1 << 16))
                connection.sendall(answer)

    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        server.listen()
        thread = Thread(target=serve, daemon=True)
        thread.start()
        yield requests
        with suppress(OSError):
            server.shutdown(socket.SHUT_RDWR)
        thread.join()
