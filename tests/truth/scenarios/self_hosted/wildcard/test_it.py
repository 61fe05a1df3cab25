import socket
from contextlib import contextmanager
from threading import Thread

import pytest
from peers import ask


@contextmanager
def served(host, clients):
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as listener:
        if ":" in host:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        listener.bind((host, 0))
        listener.listen()

        def answer():
            for _ in range(clients):
                with listener.accept()[0] as client:
                    client.sendall(client.recv(3))

        thread = Thread(target=answer)
        thread.start()
        yield listener.getsockname()[1]
        thread.join()


def ask_at(host, port):
    with socket.create_connection((host, port)) as sock:
        ask(sock)


def test_loopback():
    with served("0.0.0.0", 2) as port:
        ask_at("127.0.0.1", port)
        ask_at("127.0.0.2", port)


def test_loopback_of_version_6():
    with served("::", 2) as port:
        ask_at("::1", port)
        ask_at("127.0.0.1", port)


def test_another_address_by_name():
    for host in ("192.0.2.1", "2001:db8::1"):
        with served(host, 1) as port:
            ask_at(host, port)


def test_another_address():
    with served("0.0.0.0", 1) as port:
        ask_at("192.0.2.1", port)
    with served("::", 1) as port:
        ask_at("2001:db8::1", port)


def test_bound_elsewhere():
    with served("192.0.2.1", 0) as port, pytest.raises(ConnectionRefusedError):
        ask_at("127.0.0.1", port)
