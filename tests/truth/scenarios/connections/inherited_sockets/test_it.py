import os
import subprocess

import pytest
from peers import alpha, ask, beta, gamma, stream


@pytest.fixture
def connection():
    with alpha.connect() as sock:
        yield sock


def in_a_child(function, *arguments):
    child = os.fork()
    if not child:
        try:
            function(*arguments)
            os._exit(0)
        finally:
            os._exit(1)
    assert os.waitpid(child, 0)[1] == 0


def test_fork(connection):
    in_a_child(ask, connection, b"child")
    ask(connection)


def test_exec(connection):
    fd = connection.fileno()
    subprocess.run(["bash", "-c", "printf sent >&%d" % fd], pass_fds=[fd], check=True)
    assert connection.recv(4) == b"sent"


def test_exec_on_stdout():
    with stream.connect() as sock:
        subprocess.run(["cat"], input=b"cat", stdout=sock, check=True)
        assert sock.recv(3) == b"cat"


def test_fork_after_fork():
    with beta.connect() as sock:

        def child():
            in_a_child(ask, sock)
            ask(sock)

        in_a_child(child)


def test_outlived_by_its_child():
    sock = gamma.connect()
    out, into = os.pipe()
    child = os.fork()
    if not child:
        os.close(into)
        os.read(out, 1)  # until the parent has closed
        ask(sock)
        os._exit(0)
    sock.close()
    os.close(into)
    assert os.waitpid(child, 0)[1] == 0
    os.close(out)
