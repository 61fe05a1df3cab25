import pytest
from peers import alpha, delta


@pytest.fixture(scope="session")
def wide():
    alpha.ask()
    yield
    delta.ask()
