import socket
from contextlib import contextmanager
from threading import Thread

import pytest
from peers import ask

V4, OTHER_V4, V6 = "192.0.2.1", "192.0.2.2", "2001:db8::1"


@contextmanager
def served(host):
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as listener:
        listener.bind((host, 0))
        listener.listen()

        def answer():
            with listener.accept()[0] as client:
                client.sendall(client.recv(3))

        thread = Thread(target=answer)
        thread.start()
        yield listener.getsockname()[1]
        thread.join()


def ask_at(host, port):
    with socket.create_connection((host, port)) as sock:
        ask(sock)


def try_then_ask(refusing, answering, port):
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((refusing, port))
    ask_at(answering, port)


def test_name():
    with served(V4) as port:
        ask_at("both", port)


def test_addresses_in_a_loop():
    with served(V6) as port:
        try_then_ask(V4, V6, port)


def test_one_version():
    with served(OTHER_V4) as port:
        try_then_ask(V4, OTHER_V4, port)


def test_looks_up_another_name_in_between():
    with served(V4) as port:
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection((V6, port))
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as resolver:
            resolver.sendto(b"\0" * 12, (OTHER_V4, 53))
        ask_at(V4, port)


def test_refused_at_both():
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("both", 7))
