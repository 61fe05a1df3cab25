import socket
from pathlib import Path

from peers import alpha, ask, udp, udp6

RAN = Path("ran")
LIMIT_S = 0.1 if RAN.exists() else 60.0  # a run with the service comes first, perhaps on a busy machine
RAN.touch()


def connected(peer):
    with peer.connect(LIMIT_S) as sock:
        ask(sock)


def with_an_address(peer, times=1):
    with socket.socket(peer.family, peer.type) as sock:
        sock.settimeout(LIMIT_S)
        for last in range(times - 1, -1, -1):
            sock.sendto(b"ask", peer.address)
            try:
                assert sock.recv(3) == b"ask"
                return
            except socket.timeout:
                if not last:
                    raise


def test_connected():
    connected(udp)


def test_connected_by_ipv6():
    connected(udp6)


def test_with_an_address():
    with_an_address(udp)


def test_with_an_address_of_ipv6():
    with_an_address(udp6)


def test_tries_again():
    with_an_address(udp, times=3)


def test_waits_for_no_answer():
    """As clients of statistics do."""
    with socket.socket(udp.family, udp.type) as sock:
        for _ in range(7):
            sock.sendto(b"one:1|c", udp.address)


def test_waits_for_no_answer_when_connected():
    with udp.connect() as sock, udp6.connect() as other:
        for _ in range(5):
            sock.send(b"one:1|c")
        for _ in range(2):
            other.send(b"one:1|c")


def test_only_connects():
    """As getaddrinfo does, to sort the addresses of a name. It sends nothing."""
    with udp.connect(), udp6.connect():
        pass


def test_by_tcp():
    alpha.ask()
