import signal

import pytest
from peers import alpha, beta, gamma


@pytest.fixture
def own():
    yield
    gamma.ask()


@pytest.fixture
def interrupts():
    alpha.ask()
    signal.raise_signal(signal.SIGINT)


def test_before():
    beta.ask()


def test_it(own, interrupts):
    beta.ask()


def test_after():
    beta.ask()
