import socket
from contextlib import suppress

from peers import alpha, udp, udp6


def test_connected():
    udp.ask()


def test_connected_by_ipv6():
    udp6.ask()


def with_an_address(peer):
    with socket.socket(peer.family, peer.type) as sock:
        sock.sendto(b"ask", peer.address)
        assert sock.recv(3) == b"ask"


def test_with_an_address():
    with_an_address(udp)


def test_with_an_address_of_ipv6():
    with_an_address(udp6)


def test_waits_for_no_answer():
    with suppress(ConnectionRefusedError), socket.socket(udp.family, udp.type) as sock:
        sock.sendto(b"one:1|c", udp.address)


def test_by_tcp():
    alpha.ask()
