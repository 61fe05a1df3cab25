import os
import signal

import pytest
from peers import alpha, beta, delta, gamma, stream


@pytest.fixture(scope="session")
def pool():
    alpha.ask()
    yield
    delta.ask()


@pytest.fixture
def around():
    yield
    gamma.ask()


def test_before(pool):
    pass


def test_interrupted(pool, around):
    beta.ask()
    os.kill(os.getpid(), signal.SIGINT)


def test_never_runs(pool):
    stream.ask()
