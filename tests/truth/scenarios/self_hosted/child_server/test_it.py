import os
import socket
import subprocess
import sys

import pytest
from peers import alpha, ask


def start(*arguments):
    return subprocess.Popen([sys.executable, "server.py", *arguments], stdout=subprocess.PIPE)


@pytest.fixture(scope="session")
def server():
    with start() as process:
        yield ("127.0.0.1", int(process.stdout.readline()))
        process.kill()


def ask_at(address):
    with socket.create_connection(address) as sock:
        ask(sock)


def test_uses(server):
    ask_at(server)


def test_uses_by_a_child(server):
    child = os.fork()
    if not child:
        ask_at(server)
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0


def test_daemon():
    with start("daemon") as process:
        address = ("127.0.0.1", int(process.stdout.readline()))
        with socket.create_connection(address) as sock:
            sock.sendall(b"end")
            assert sock.recv(1) == b""


def test_external_too(server):
    ask_at(server)
    alpha.ask()


def test_listens_in_the_parent():
    """As gunicorn does: the child only accepts."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        child = os.fork()
        if not child:
            with listener.accept()[0] as client:
                client.sendall(client.recv(3))
            os._exit(0)
        ask_at(listener.getsockname())
        assert os.waitpid(child, 0)[1] == 0
