import signal

import pytest
from peers import alpha, beta, gamma


@pytest.fixture
def slow(request):
    request.addfinalizer(gamma.ask)
    beta.ask()
    signal.raise_signal(signal.SIGALRM)  # the hour is over


def test_setup(slow):
    pass


def test_call():
    alpha.ask()
    signal.raise_signal(signal.SIGALRM)


def test_after():
    beta.ask()
