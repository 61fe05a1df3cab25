import pytest
from peers import alpha, beta, delta

beta.ask()


@pytest.fixture(scope="module")
def wide():
    alpha.ask()


def test_it(wide):
    delta.ask()
