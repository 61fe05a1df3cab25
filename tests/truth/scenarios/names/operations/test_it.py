import os

import redis
from conftest import PREPARED


def test_only_flushes(_empty):
    pass


def test_reads(cache):
    cache.get("key")


def test_writes(cache):
    cache.set("key", "value")


def test_sends_too_often(cache):
    for number in range(5):
        cache.incr(f"key {number}")


def test_first_sends():
    with redis.Redis.from_url(os.environ["SHOP_REDIS_URL"], protocol=2, driver_info=None) as client:
        client.smembers("items")


def test_selects(database):
    database.execute("SELECT 1")


def test_inserts(database):
    database.execute("INSERT INTO item VALUES (1)")


def test_selects_by_the_extended_protocol(database):
    database.execute("SELECT id FROM item WHERE id = %s", [1])


def test_inserts_by_the_extended_protocol(database):
    database.execute("INSERT INTO item VALUES (%s)", [1])


def test_executes_a_prepared_statement(database):
    database.execute(PREPARED, [2])
