import socket

import pytest
from peers import Peer, ask

SERVER = Peer("49153").address


def request(line, host="gateway.example.com"):
    return f"{line} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode()


@pytest.fixture(scope="module")
def connection():
    """It connects when a test uses it first."""
    with socket.socket() as sock:
        yield sock


def test_users(connection):
    connection.connect(SERVER)
    ask(connection, request("GET /api/users/1"))


def test_orders_on_the_same_connection(connection):
    ask(connection, request("POST /api/orders"))


def test_another_path(connection):
    ask(connection, request("GET /health"))


def ask_anew(*requests):
    with socket.create_connection(SERVER) as sock:
        for one in requests:
            ask(sock, one)


def test_both():
    ask_anew(request("PUT /api/orders/1"), request("GET /api/users"))


pooled = []


def test_after_the_first_sends():
    pooled.append(socket.create_connection(SERVER))
    for _ in range(5):
        ask(pooled[0], request("GET /api/orders"))


def test_path_that_is_cut_off():
    """16 bytes of this send are known."""
    ask(pooled[0], request("DELETE /api/users/1"))
    pooled.pop().close()


def test_whole_url():
    ask_anew(request("GET http://g/api/orders"))


def test_another_host():
    ask_anew(request("GET /api/users", "other.example.com"))
