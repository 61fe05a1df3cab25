import os
import socket
import tempfile
from pathlib import Path
from threading import Thread

import pytest
from peers import ask, datagrams, stream


@pytest.fixture
def path():
    with tempfile.TemporaryDirectory(dir="/tmp") as directory:  # a unix socket's path has to be short
        yield str(Path(directory, "socket"))


def converse(address, kind=socket.SOCK_STREAM, name=None):
    with socket.socket(socket.AF_UNIX, kind) as listener:
        listener.bind(address)
        listener.listen()

        def answer():
            with listener.accept()[0] as client:
                client.sendall(client.recv(3))

        thread = Thread(target=answer)
        thread.start()
        with socket.socket(socket.AF_UNIX, kind) as sock:
            if name is not None:
                sock.bind(name)
            sock.connect(address)
            ask(sock)
        thread.join()


def test_path(path):
    converse(path)


def test_abstract():
    converse("\0truth-own-%d" % os.getpid())


def test_records(path):
    converse(path, socket.SOCK_SEQPACKET)


def test_client_with_a_name(path):
    converse(path, name="")


def test_datagrams(path):
    with (
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as server,
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as client,
    ):
        server.bind(path)
        client.sendto(b"one", path)
        client.connect(path)
        client.send(b"two")
        assert server.recv(3) + server.recv(3) == b"onetwo"


def test_datagrams_answered(path):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as server:
        server.bind(path)

        def answer():
            data, client = server.recvfrom(3)
            server.sendto(data, client)

        thread = Thread(target=answer)
        thread.start()
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as client:
            client.bind("")
            client.connect(path)
            ask(client)
        thread.join()


@pytest.fixture
def asked_too_early(path):
    """As a fixture that waits for its server to be there."""
    with socket.socket(socket.AF_UNIX) as sock, pytest.raises(FileNotFoundError):
        sock.connect(path)


def test_not_yet_there(path, asked_too_early):
    converse(path)


def test_external_too():
    stream.ask()
    datagrams.ask()
