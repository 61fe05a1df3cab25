import pytest
from peers import packets, stream


@pytest.fixture(scope="session")
def pool():
    stream.ask()


@pytest.fixture(autouse=True)
def around():
    yield
    packets.ask()
