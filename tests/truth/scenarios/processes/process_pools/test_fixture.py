import pytest
from peers import beta
from pools import ask_on_kept, connect, new_pool
from settled import settle

pools = []


@pytest.fixture(scope="session")
def pool():
    with new_pool() as pool:
        pools.append(pool)
        pool.submit(connect).result()
        yield pool


def test_requests(pool):
    settle()
    pool.submit(ask_on_kept).result()


def test_requests_too(pool):
    settle()
    pool.submit(ask_on_kept).result()
    settle()
    pool.submit(beta.ask).result()


def test_does_not():
    settle()
    pools[0].submit(ask_on_kept).result()
    settle()
    pools[0].submit(beta.ask).result()
