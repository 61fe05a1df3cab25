import signal

import pytest
from peers import alpha, beta


@pytest.fixture
def interrupts():
    yield
    alpha.ask()
    signal.raise_signal(signal.SIGINT)


def test_it(interrupts):
    beta.ask()


def test_after():
    beta.ask()
