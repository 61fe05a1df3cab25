import pytest
from peers import alpha, beta, gamma

alpha.ask()


@pytest.fixture(scope="module")
def wide():
    beta.ask()


def test_it(wide):
    gamma.ask()
