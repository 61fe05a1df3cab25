from threading import Thread

import pytest
from shop import cache


@pytest.fixture(autouse=True)
def _empty(redis_client):
    redis_client.flushdb()


def test_price(redis_client):
    cache.remember_price(redis_client, "tea", 790)
    assert cache.price(redis_client, "tea") == 790


def test_price_expires(redis_client):
    cache.remember_price(redis_client, "tea", 790)
    assert 0 < redis_client.ttl(cache.price_key("tea")) <= cache.PRICE_S


def test_key_ignores_case():
    assert cache.price_key("TEA") == cache.price_key("tea")


def test_another_thread_sees_the_price(redis_client, redis_number):
    cache.remember_price(redis_client, "tea", 790)
    seen = []

    def look():
        with cache.connect(redis_number) as client:
            seen.append(cache.price(client, "tea"))

    thread = Thread(target=look)
    thread.start()
    thread.join()
    assert seen == [790]
