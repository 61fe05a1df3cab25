import pytest
from peers import alpha, ask, beta


@pytest.fixture(scope="session")
def connection():
    with alpha.connect() as sock:
        ask(sock)
        yield sock
    beta.ask()
