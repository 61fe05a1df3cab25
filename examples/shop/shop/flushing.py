"""A pytest plugin as many suites have one: after each test, it empties Redis, if there is one."""

from contextlib import suppress

import pytest
import redis

from shop import cache


@pytest.fixture(autouse=True)
def flush_redis(redis_number):
    yield
    with suppress(redis.ConnectionError), cache.connect(redis_number) as client:
        client.flushdb()
