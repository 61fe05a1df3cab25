import socket
from contextlib import suppress

from peers import datagrams, packets, stream


def test_stream():
    stream.ask()


def test_packets():
    packets.ask()


def test_datagrams():
    datagrams.ask()


def test_datagram_with_an_address():
    with socket.socket(datagrams.family, datagrams.type) as sock:
        sock.bind("")
        sock.sendto(b"ask", datagrams.address)
        assert sock.recv(3) == b"ask"


def test_tolerates():
    with suppress(ConnectionRefusedError):
        stream.ask()
