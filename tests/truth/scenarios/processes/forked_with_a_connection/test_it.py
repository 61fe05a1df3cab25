import os
import subprocess

import pytest
from peers import alpha, ask, beta, gamma

kept = []


def in_a_child(function, *arguments):
    pid = os.fork()
    if pid == 0:
        try:
            function(*arguments)
            os._exit(0)
        finally:
            os._exit(1)
    assert os.waitpid(pid, 0)[1] == 0


@pytest.fixture(scope="module")
def connection():
    with beta.connect() as sock:
        yield sock


def test_own():
    with alpha.connect() as sock:
        in_a_child(ask, sock)
        ask(sock)


def test_of_a_fixture(connection):
    in_a_child(ask, connection)


def test_opens_a_global_one():
    kept.append(gamma.connect())


def test_of_an_earlier_test():
    in_a_child(ask, kept[0])


def test_of_a_grandchild():
    def child():
        ask(kept[0])
        in_a_child(ask, kept[0])

    in_a_child(child)


def test_across_exec():
    subprocess.run(["cat"], input=b"ask", stdout=kept[0], check=True)
    assert kept[0].recv(3) == b"ask"


def test_without():
    pass
