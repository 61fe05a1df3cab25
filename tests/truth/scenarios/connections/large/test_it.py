import select
import socket

from peers import alpha, sink

DATA = bytes(100 << 20)


def heard(sock):
    sock.shutdown(socket.SHUT_WR)
    select.select([sock], [], [])
    return int(sock.recv(20))


def test_blocking():
    with sink.connect() as sock:
        sock.sendall(DATA)
        assert heard(sock) == len(DATA)


def test_in_parts():
    with sink.connect() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
        sock.setblocking(False)
        rest, calls = memoryview(DATA), 0
        while rest:
            select.select([], [sock], [])
            rest, calls = rest[sock.send(rest) :], calls + 1
        assert calls > 1
        assert heard(sock) == len(DATA)


def fill(sock):
    """Nobody reads the answers, so in the end the peer does not read either. Returns how much went in."""
    sent = 0
    try:
        while True:
            sent += sock.send(DATA)
    except BlockingIOError:
        return sent


def test_no_room():
    with alpha.connect() as sock:
        sock.setblocking(False)
        assert fill(sock)
        sock.setblocking(True)
        sock.shutdown(socket.SHUT_WR)
        while sock.recv(1 << 20):  # until the peer has read everything
            pass
