import os

import pytest
import redis


@pytest.fixture(scope="session")
def session_client():
    client = redis.Redis.from_url(os.environ["SHOP_REDIS_URL"])
    client.ping()
    yield client
    client.flushdb()
    client.close()
