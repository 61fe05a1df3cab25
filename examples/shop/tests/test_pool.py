from contextlib import contextmanager

import pytest
from psycopg2.pool import PoolError


@contextmanager
def borrowed(pool):
    connection = pool.getconn()
    try:
        yield connection
    finally:
        pool.putconn(connection)


def backend(pool):
    """The server process behind a connection of the pool."""
    with borrowed(pool) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        return cursor.fetchone()[0]


def test_query(pool):
    with borrowed(pool) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM products")
        assert cursor.fetchone()[0] == 2


def test_connections_are_reused(pool):
    assert backend(pool) == backend(pool)


def test_no_more_connections_than_agreed(pool):
    with borrowed(pool), borrowed(pool), pytest.raises(PoolError, match="exhausted"):
        pool.getconn()
