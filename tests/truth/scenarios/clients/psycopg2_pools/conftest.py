import os

import psycopg2
import pytest
from psycopg2.pool import ThreadedConnectionPool


@pytest.fixture(scope="session")
def pool(pytestconfig):
    pool = ThreadedConnectionPool(1, 4, os.environ["SHOP_POSTGRES_DSN"])
    pytestconfig.pool = pool
    yield pool
    pool.closeall()


@pytest.fixture
def connection(pool):
    connection = pool.getconn()
    yield connection
    connection.rollback()
    pool.putconn(connection)


@pytest.fixture
def own_connection():
    connection = psycopg2.connect(os.environ["SHOP_POSTGRES_DSN"])
    yield connection
    connection.close()
