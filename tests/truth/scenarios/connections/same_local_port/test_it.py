import socket
import struct

import pytest
from peers import alpha, ask, beta, udp

ABORT = struct.pack("ii", 1, 0)  # SO_LINGER: to close resets, so that the port is free at once


@pytest.fixture(scope="module")
def port():
    with socket.socket() as sock, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagrams:
        sock.bind(("127.0.0.1", 0))
        datagrams.bind(sock.getsockname())
        return sock.getsockname()[1]


def connect(peer, port):
    sock = socket.socket(peer.family, peer.type)
    if peer.type == socket.SOCK_STREAM:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, ABORT)
    sock.bind(("127.0.0.1", port))
    sock.connect(peer.address)
    return sock


def test_one(port):
    for peer in (alpha, udp):
        with connect(peer, port) as sock:
            ask(sock)


def test_other(port):
    for peer in (alpha, udp):
        with connect(peer, port) as sock:
            ask(sock)
            ask(sock)


def test_third_goes_elsewhere(port):
    with connect(beta, port) as sock:
        ask(sock)
