import socket
from threading import Thread

from peers import ask, udp, udp6


def converse(bound, reached, family=socket.AF_INET):
    with socket.socket(family, socket.SOCK_DGRAM) as server:
        server.bind((bound, 0))

        def answer():
            data, client = server.recvfrom(3)
            server.sendto(data, client)

        thread = Thread(target=answer)
        thread.start()
        with socket.socket(family, socket.SOCK_DGRAM) as client:
            client.connect((reached, server.getsockname()[1]))
            ask(client)
        thread.join()


def test_in_a_thread():
    converse("127.0.0.1", "127.0.0.1")


def test_on_all_addresses():
    converse("0.0.0.0", "127.0.0.1")


def test_version_6():
    converse("::1", "::1", socket.AF_INET6)


def test_that_never_answers():
    """As a fake statsd."""
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client,
    ):
        server.bind(("127.0.0.1", 0))
        for metric in (b"a:1|c", b"b:1|c", b"c:1|c"):
            client.sendto(metric, server.getsockname())
            assert server.recv(9) == metric


def test_external_too():
    udp.ask()
    udp6.ask()
