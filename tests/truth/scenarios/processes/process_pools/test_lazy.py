import pytest
from peers import beta
from pools import ask_on_kept, new_pool
from settled import settle


@pytest.fixture(scope="module")
def pool():
    with new_pool() as pool:
        yield pool


def test_first(pool):
    settle()
    pool.submit(ask_on_kept).result()


def test_same_connection(pool):
    settle()
    pool.submit(ask_on_kept).result()


def test_new_connection(pool):
    settle()
    pool.submit(beta.ask).result()
