import os
import signal

import pytest
from peers import alpha, ask, beta, delta, gamma


@pytest.fixture(scope="session")
def connection():
    with alpha.connect() as sock:
        yield sock
    beta.ask()


def test_before(connection):
    ask(connection)


def test_crashes(connection):
    gamma.ask()
    os.kill(os.getpid(), signal.SIGKILL)


def test_after(connection):
    ask(connection)


def test_without():
    delta.ask()
