from contextlib import contextmanager

import pytest
from peers import alpha, beta


class Pool:
    def __init__(self, peer, size):
        self.peer = peer
        self.idle = [peer.connect() for _ in range(size)]

    @contextmanager
    def connection(self):
        sock = self.idle.pop() if self.idle else self.peer.connect()
        yield sock
        self.idle.insert(0, sock)

    def close(self):
        for sock in self.idle:
            sock.close()


@pytest.fixture(scope="session")
def filled():
    pool = Pool(alpha, 2)
    yield pool
    pool.close()


@pytest.fixture(scope="session")
def lazy():
    pool = Pool(beta, 0)
    yield pool
    pool.close()
