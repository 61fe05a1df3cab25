import pytest
from peers import beta


@pytest.fixture(scope="session")
def conn(shared):
    beta.ask()
