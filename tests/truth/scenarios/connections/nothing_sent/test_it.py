import os
import socket

from peers import alpha, ask, beta, datagrams, sink, stream, udp

kept = []


def test_stream():
    for peer in (alpha, stream):
        with peer.connect() as sock:
            assert sock.send(b"") == 0
            assert os.write(sock.fileno(), b"") == 0


def test_kept():
    kept.append(beta.connect())
    ask(kept[0])


def test_on_a_kept_one():
    assert kept[0].send(b"") == 0


def test_datagram():
    with udp.connect() as sock:
        assert sock.send(b"") == 0
        assert sock.recv(1) == b""
    with datagrams.connect() as sock:
        assert sock.send(b"") == 0
        assert sock.recv(1) == b""


def test_shut_down():
    with sink.connect() as sock:
        sock.shutdown(socket.SHUT_WR)
        assert sock.recv(9) == b"0"
