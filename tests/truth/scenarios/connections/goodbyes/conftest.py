import os

import psycopg2
import pytest


class LazyPool:
    """One connection, opened by the first test that uses it."""

    def __init__(self):
        self.connection = None

    def select(self):
        if self.connection is None:
            self.connection = psycopg2.connect(os.environ["SHOP_POSTGRES_DSN"])
        with self.connection.cursor() as cursor:
            cursor.execute("SELECT 1")
            assert cursor.fetchone() == (1,)
        self.connection.rollback()


@pytest.fixture(scope="session")
def lazy_pool():
    pool = LazyPool()
    yield pool
    pool.connection.close()


@pytest.fixture(scope="session")
def resetting_pool():
    pool = LazyPool()
    yield pool
    pool.select()
    pool.connection.close()
