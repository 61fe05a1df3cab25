import signal

import pytest
from peers import alpha, beta, gamma


@pytest.fixture(scope="module")
def wide():
    alpha.ask()
    yield
    gamma.ask()


def test_first(wide):
    pass


def test_interrupts():
    beta.ask()
    signal.raise_signal(signal.SIGINT)


def test_after(wide):
    beta.ask()
