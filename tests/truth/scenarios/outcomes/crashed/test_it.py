import os
import signal

import pytest
from peers import alpha, beta, delta, gamma


@pytest.fixture(scope="session")
def pool():
    alpha.ask()
    yield
    delta.ask()


def test_before(pool):
    pass


def test_crashes(pool):
    beta.ask()
    os.kill(os.getpid(), signal.SIGKILL)


def test_never_runs(pool):
    gamma.ask()
