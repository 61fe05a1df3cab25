"""Servers that the scenarios' clients need, beside those of examples/services.py. Each is in its own process."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import services

HOST = "127.0.0.1"


@contextmanager
def serving(script: str, *arguments: str) -> Iterator[tuple[str, Callable[[], str]]]:
    """The line that one of the servers beside this file prints, and a function that requests a further line.

    It serves until its stdin ends.
    """
    server = [sys.executable, str(Path(__file__).with_name(script)), *arguments]
    with subprocess.Popen(server, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin
        assert process.stdout
        requests, lines = process.stdin, process.stdout

        def ask() -> str:
            requests.write("\n")
            requests.flush()
            return lines.readline()

        yield lines.readline(), ask


@contextmanager
def mosquitto(directory: Path) -> Iterator[str]:
    """An MQTT broker. Yields its address, HOST:PORT."""
    # Without a configuration, it listens on 127.0.0.1 only.
    with (
        services.reserved_port() as port,
        services.child("mosquitto", [services.program("mosquitto", "mosquitto"), "-p", str(port)], directory) as server,
    ):
        server.wait_for(lambda: socket.create_connection((HOST, port)).close())
        yield f"{HOST}:{port}"
