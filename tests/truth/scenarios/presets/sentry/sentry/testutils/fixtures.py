import os
import socket
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

import pytest
from brokers import BROKERS
from peers import Peer
from redis import Redis

from sentry import snuba

redis = Redis.from_url(os.environ["SHOP_REDIS_URL"], db=9)


def pytest_runtest_teardown():
    redis.flushdb()


def django_db_all(function):
    return pytest.mark.django_db(databases="__all__")(function)


def require(address):
    socket.create_connection(address).close()


@pytest.fixture
def reset_snuba():
    with ThreadPoolExecutor() as pool:
        list(pool.map(snuba.post, [f"/tests/{name}/drop" for name in ("events", "metrics", "spans")]))


@pytest.fixture(scope="session")
def requires_snuba():
    require(Peer("1218").address)


@pytest.fixture(scope="session")
def requires_kafka():
    broker = urlsplit("//" + BROKERS["bootstrap.servers"])
    require((broker.hostname, broker.port))


@pytest.fixture(scope="session")
def requires_symbolicator():
    require(Peer("3021").address)


@pytest.fixture(scope="session")
def requires_objectstore():
    require(Peer("8888").address)
