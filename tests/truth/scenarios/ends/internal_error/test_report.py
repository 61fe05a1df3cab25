import pytest
from peers import alpha, beta, gamma


@pytest.fixture
def own():
    yield
    gamma.ask()


def test_before():
    beta.ask()


def test_breaks(own):
    alpha.ask()


def test_after():
    beta.ask()
