import os
import socket
from threading import Thread

import pytest
from peers import alpha, ask, beta, gamma
from settled import settle

ports = {}


def forward(listener, reach):
    """One client after another, one question each."""
    while True:
        with listener.accept()[0] as client:
            client.sendall(reach(client.recv(3)))


def bound():
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen()
    return listener


def through(port):
    settle()
    with socket.create_connection(("127.0.0.1", port)) as sock:
        ask(sock)


def in_a_thread(reach):
    with bound() as listener:
        thread = Thread(target=forward, args=(listener, reach), daemon=True)
        thread.start()
        yield listener.getsockname()[1]


@pytest.fixture(scope="session")
def thread_proxy():
    for port in in_a_thread(alpha.ask):
        ports["thread"] = port
        yield port


@pytest.fixture(scope="session")
def keeps_a_connection():
    with gamma.connect() as sock:
        for port in in_a_thread(lambda data: ask(sock, data)):
            ports["kept"] = port
            yield port


@pytest.fixture(scope="session")
def child_proxy():
    with bound() as listener:
        child = os.fork()
        if not child:
            forward(listener, beta.ask)
            os._exit(0)
        yield listener.getsockname()[1]
        os.kill(child, 9)
        os.waitpid(child, 0)


def test_by_a_thread(thread_proxy):
    through(thread_proxy)


def test_by_a_thread_again(thread_proxy):
    through(thread_proxy)


def test_by_a_child(child_proxy):
    through(child_proxy)


def test_by_a_kept_connection(keeps_a_connection):
    through(keeps_a_connection)


def test_does_not_request_it():
    through(ports["kept"])


def test_does_not_request_one_that_connects():
    through(ports["thread"])
