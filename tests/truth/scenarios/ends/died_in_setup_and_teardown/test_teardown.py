import os
import signal

import pytest
from peers import alpha, beta, gamma


@pytest.fixture
def dies():
    alpha.ask()
    yield
    gamma.ask()
    os.kill(os.getpid(), signal.SIGKILL)


def test_it(dies):
    beta.ask()
