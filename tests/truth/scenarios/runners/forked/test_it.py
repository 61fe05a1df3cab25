import os
import signal

import pytest
from peers import alpha, ask, beta, delta, gamma, stream


@pytest.fixture(scope="session")
def connection():
    with alpha.connect() as sock:
        yield sock
    stream.ask()


@pytest.fixture
def around():
    beta.ask()
    yield
    gamma.ask()


def test_first(connection, around):
    ask(connection)


def test_fails(around):
    raise RuntimeError("in the child")


def test_is_killed(connection, around):
    delta.ask()
    os.kill(os.getpid(), signal.SIGKILL)


def test_exits(around):
    delta.ask()
    os._exit(0)


def test_skips(connection):
    pytest.skip("after it was set up")


def test_without():
    pass
