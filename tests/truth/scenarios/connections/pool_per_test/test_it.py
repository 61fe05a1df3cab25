import pytest
from peers import alpha, ask


@pytest.fixture
def pool():
    connections = [alpha.connect() for _ in range(2)]
    yield connections
    for sock in connections:
        ask(sock, b"bye")
        sock.close()


def test_one(pool):
    for sock in pool:
        ask(sock)


def test_other(pool):
    ask(pool[0])
    ask(pool[0])
