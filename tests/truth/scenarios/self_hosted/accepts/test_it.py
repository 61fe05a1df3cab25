import os
import socket
from threading import Thread

import pytest
from peers import errand


@pytest.fixture
def listener():
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        sock.listen()
        yield sock


def answer(listener):
    with listener.accept()[0] as client:
        client.sendall(client.recv(3))


def test_serves(listener):
    thread = Thread(target=answer, args=(listener,))
    thread.start()
    assert errand("call", *listener.getsockname()) == "ask"
    thread.join()


def test_serves_in_a_child(listener):
    child = os.fork()
    if not child:
        answer(listener)
        os._exit(0)
    assert errand("call", *listener.getsockname()) == "ask"
    assert os.waitpid(child, 0)[1] == 0


def test_serves_much(listener):
    """By the test's own thread, in several calls."""
    thread = Thread(target=errand, args=("call", *listener.getsockname()))
    thread.start()
    with listener.accept()[0] as client:
        client.recv(3)
        for _ in range(3):
            client.sendall(b"x" * 100)
        os.write(client.fileno(), b"\n")
    thread.join()
