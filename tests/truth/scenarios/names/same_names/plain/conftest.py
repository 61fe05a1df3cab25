import pytest
from peers import alpha


@pytest.fixture(scope="session")
def conn(shared):
    alpha.ask()
