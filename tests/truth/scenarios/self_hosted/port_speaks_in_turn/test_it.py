"""The tests build on one another: a port goes from server to server."""

import socket
import struct
from contextlib import contextmanager

import echo
from peers import ask, errand

HTTP = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"
REDIS = b"*1\r\n$4\r\nPING\r\n"
POSTGRES = struct.pack(">ii", 25, 196608) + b"user\0me\0db\0shop\0\0"
ports = []


@contextmanager
def served(clients):
    with echo.served(clients, port=ports[0] if ports else 0) as port:
        ports.append(port)
        yield


def say(data):
    with socket.create_connection(("127.0.0.1", ports[0])) as sock:
        ask(sock, data)


def test_http():
    with served(clients=3):
        say(HTTP)
        socket.create_connection(("127.0.0.1", ports[0])).close()  # says nothing, between two that speak HTTP
        say(HTTP)


def test_redis():
    with served(clients=1):
        say(REDIS)


def test_postgres():
    with served(clients=1):
        say(POSTGRES)


def test_http_again():
    with served(clients=1):
        say(HTTP)


def test_external():
    assert int(errand("listen", ports[0])) == ports[0]
    say(REDIS)
    say(POSTGRES)
    errand("stop", ports[0])


def test_external_without_words():
    """The words at this port were those of the run's own server."""
    port = int(errand("listen", 0))
    ports.insert(0, port)
    errand("stop", port)
    with served(clients=1):
        say(REDIS)
    assert int(errand("listen", port)) == port
    say(b"??")
    errand("stop", port)
