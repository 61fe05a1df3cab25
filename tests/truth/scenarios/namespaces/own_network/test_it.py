import socket
from threading import Thread

import pytest
from peers import abstract, alpha, beta, stream


@pytest.fixture
def served():
    """Answer one request at an address of ours."""

    def answer(listener):
        with listener.accept()[0] as client:
            client.sendall(client.recv(3))

    def serve(peer):
        listener.append(socket.socket(peer.family, peer.type))
        listener[0].bind(peer.address)
        listener[0].listen()
        thread.append(Thread(target=answer, args=listener))
        thread[0].start()

    listener, thread = [], []
    yield serve
    thread[0].join()
    listener[0].close()


def test_own_server(served):
    served(alpha)
    alpha.ask()


def test_nobody_there():
    with pytest.raises(ConnectionRefusedError):
        beta.connect()


def test_unix_sockets_are_the_same():
    stream.ask()


def test_own_abstract_one_not_yet_served():
    with pytest.raises(ConnectionRefusedError):
        abstract.connect()


def test_own_abstract_one(served):
    served(abstract)
    abstract.ask()
