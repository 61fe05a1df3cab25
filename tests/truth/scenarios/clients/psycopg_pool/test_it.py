import os

from psycopg_pool import ConnectionPool


def select(pool):
    with pool.connection(30) as connection:
        connection.execute("SELECT 1")


def renew(pool):
    """Have the pool's worker replace its connection, and wait for the new one."""
    with pool.connection(30) as connection:
        connection.close()
    select(pool)


def test_own():
    with ConnectionPool(os.environ["SHOP_POSTGRES_DSN"], min_size=1, max_size=1, num_workers=1) as pool:
        pool.wait(30)
        select(pool)


def test_shared(pool):
    select(pool)


def test_shared_is_renewed(pool):
    renew(pool)


def test_unrequested_is_renewed(pytestconfig):
    renew(pytestconfig.pool)


def test_unrequested(pytestconfig):
    select(pytestconfig.pool)
