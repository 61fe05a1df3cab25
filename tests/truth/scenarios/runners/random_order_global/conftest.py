import pytest
from peers import abstract, packets


@pytest.fixture(scope="session")
def pool():
    packets.ask()
    yield
    abstract.ask()
