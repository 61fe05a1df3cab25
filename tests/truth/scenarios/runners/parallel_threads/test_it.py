import pytest
from peers import alpha, beta, gamma


@pytest.fixture
def around():
    alpha.ask()
    yield
    gamma.ask()


@pytest.mark.parallel_threads(3)
def test_in_three_threads(around):
    beta.ask()


def test_in_one(around):
    beta.ask()
