import os
import signal

import pytest
from peers import alpha, gamma


@pytest.fixture
def own():
    yield
    gamma.ask()


def test_it(own):
    alpha.ask()
    os.kill(os.getpid(), signal.SIGINT)


def test_after():
    alpha.ask()
