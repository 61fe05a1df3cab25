import os
from uuid import uuid4

import pytest
from shop import cache, database, events, settings


def pytest_addoption(parser):
    parser.addoption("--flush-redis", action="store_true", help="empty Redis after each test")


def pytest_configure(config):
    if config.option.flush_redis:
        config.pluginmanager.import_plugin("shop.flushing")


@pytest.fixture
def db():
    connection = database.connect()
    yield connection
    connection.rollback()
    connection.close()


@pytest.fixture
def local_db():
    with database.connect_locally() as connection:
        yield connection


@pytest.fixture(scope="session")
def pool():
    pool = database.make_pool(2)
    yield pool
    pool.closeall()


@pytest.fixture(scope="session")
def producer():
    with events.make_producer() as producer:
        producer.list_topics(timeout=settings.KAFKA_TIMEOUT_S)
        yield producer


@pytest.fixture(scope="session")
def redis_number():
    """The Redis database of this xdist worker: each worker flushes only its own."""
    return int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % 16


@pytest.fixture(scope="module")
def redis_client(redis_number):
    with cache.connect(redis_number) as client:
        client.ping()
        yield client


@pytest.fixture
def customer():
    """A customer that no other test uses."""
    return f"customer-{uuid4()}"
