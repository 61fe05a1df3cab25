import os

import psycopg
import pytest
import redis

PREPARED = "SELECT %s::int"


@pytest.fixture(scope="session")
def cache():
    with redis.Redis.from_url(os.environ["SHOP_REDIS_URL"]) as client:
        client.ping()
        yield client


@pytest.fixture
def _empty(cache):
    yield
    cache.flushdb()


@pytest.fixture(scope="session")
def database():
    with psycopg.connect(os.environ["SHOP_POSTGRES_DSN"], autocommit=True) as connection:
        connection.execute("CREATE TEMPORARY TABLE item (id int)")
        connection.execute(PREPARED, [1], prepare=True)
        yield connection
