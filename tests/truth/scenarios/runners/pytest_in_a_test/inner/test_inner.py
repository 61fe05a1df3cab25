import pytest
from peers import alpha, beta, gamma

gamma.ask()


@pytest.fixture(scope="session")
def pool():
    alpha.ask()


@pytest.mark.parametrize("number", range(4))
def test_inner(pool, number):
    beta.ask()
