import pytest
from peers import alpha, beta


@pytest.fixture(scope="session")
def pool():
    alpha.ask()


def test_it(pool):
    beta.ask()
