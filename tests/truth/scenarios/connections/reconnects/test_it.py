import socket

import pytest
from peers import alpha, ask, beta, gamma, sink, udp


class Client:
    """It notices that the server has left only when it reads."""

    def __init__(self, peer):
        self.peer = peer
        self.sock = None

    def say(self, data):
        if self.sock is None or self.sock.recv(1) == b"":
            self.sock = self.peer.connect()
        self.sock.sendall(data)
        self.sock.shutdown(socket.SHUT_WR)
        return self.sock.recv(1)


to_sink = Client(sink)


def test_opens():
    assert to_sink.say(b"ask") == b"3"
    alpha.ask()


def test_server_had_closed():
    assert to_sink.say(b"again") == b"5"


def test_client_had_closed():
    alpha.ask()


def test_reset():
    with sink.connect() as sock:
        sock.sendall(b"again")
        sock.shutdown(socket.SHUT_WR)
        with pytest.raises(BrokenPipeError):
            sock.send(b"too late")


def test_same_socket_again():
    """connect(2) with AF_UNSPEC dissolves an association; udp(7) and tcp alike."""
    import ctypes

    libc = ctypes.CDLL(None, use_errno=True)
    with beta.connect() as sock:
        ask(sock)
        assert libc.connect(sock.fileno(), bytes(16), 16) == 0
        sock.connect(gamma.address)
        ask(sock)
    with udp.connect() as sock:
        assert libc.connect(sock.fileno(), bytes(16), 16) == 0
        sock.connect(udp.address)
        ask(sock)
