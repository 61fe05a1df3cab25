import pytest
from peers import alpha, beta


@pytest.fixture(scope="session")
def wide():
    alpha.ask()
    yield
    beta.ask()
