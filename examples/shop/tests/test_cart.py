import pytest
from shop import cache


@pytest.fixture(scope="class")
def no_carts(redis_client):
    redis_client.flushdb()


@pytest.mark.usefixtures("no_carts")
class TestCart:
    def test_add(self, redis_client, customer):
        assert cache.add_to_cart(redis_client, customer, "tea") == 1
        assert cache.add_to_cart(redis_client, customer, "tea", 2) == 3
        assert cache.cart(redis_client, customer) == {"tea": 3}

    def test_line(self):
        assert cache.cart_line("tea", 2) == "2 × tea"


def test_line_of_one():
    assert cache.cart_line("pot", 1) == "1 × pot"
