import socket

import pytest
from peers import alpha, beta, closed

FASTOPEN = 0x20000000  # MSG_FASTOPEN
FASTOPEN_CONNECT = 30  # TCP_FASTOPEN_CONNECT: connect(2) leaves it all to the first write


def test_with_sendto():
    with socket.socket() as sock:
        assert sock.sendto(b"ask", FASTOPEN, alpha.address) == 3
        assert sock.recv(3) == b"ask"


def test_deferred_connect():
    with socket.socket() as sock:
        sock.setsockopt(socket.IPPROTO_TCP, FASTOPEN_CONNECT, 1)
        sock.connect(beta.address)
        sock.sendall(b"ask")
        assert sock.recv(3) == b"ask"


def test_refused():
    with socket.socket() as sock, pytest.raises(ConnectionRefusedError):
        sock.sendto(b"ask", FASTOPEN, closed.address)
