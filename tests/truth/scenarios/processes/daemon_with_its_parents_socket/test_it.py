import os
import socket
from pathlib import Path

import pytest
from peers import ask, stream

PID = 4321


def fork():
    """Like os.fork, but the child's pid is PID."""
    Path("/proc/sys/kernel/ns_last_pid").write_text(str(PID - 1))
    pid = os.fork()
    assert PID == (pid or os.getpid())
    return pid


def ask_at(path):
    with socket.socket(socket.AF_UNIX) as sock:
        sock.connect(path)
        ask(sock)


def serve(listener):
    """Answer each client once, and end with the first that says nothing."""
    while True:
        with listener.accept()[0] as client:
            heard = client.recv(8)
            if not heard:
                return
            client.sendall(heard)


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    path = str(tmp_path_factory.mktemp("server") / "truth-inner")
    if fork() == 0:
        try:
            listener = socket.socket(socket.AF_UNIX)
            listener.bind(path)
            listener.listen()
            if os.fork() == 0:
                serve(listener)
        finally:
            os._exit(0)
    os.wait()
    ask_at(path)
    yield path
    with socket.socket(socket.AF_UNIX) as sock:
        sock.connect(path)


def test_serves(server):
    ask_at(server)


def test_serves_still(server):
    if fork() == 0:  # somebody else has that pid now
        os._exit(0)
    os.wait()
    ask_at(server)


def test_somebody_elses(server):
    stream.ask()
