import os

import pytest
from peers import alpha, beta, delta, gamma


@pytest.fixture
def own():
    yield
    beta.ask()


@pytest.fixture
def closes():
    os.closerange(3, 65536)
    gamma.ask()


def test_closes(own):
    os.closerange(3, 65536)
    alpha.ask()


def test_closed_by_its_fixture(closes):
    alpha.ask()


def test_closed_in_a_child():
    child = os.fork()
    if child == 0:
        os.closerange(3, 65536)
        delta.ask()
        os._exit(0)
    assert os.waitpid(child, 0) == (child, 0)


def test_after():
    beta.ask()
