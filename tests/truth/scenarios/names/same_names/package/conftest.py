import pytest
from peers import gamma


@pytest.fixture(scope="session")
def conn(shared):
    gamma.ask()
