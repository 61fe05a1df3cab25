import pytest
from shop.pricing import Basket, cents, discounted


@pytest.mark.parametrize(("amount", "expected"), [("0.005", 1), ("19.99", 1999)])
def test_cents(amount, expected):
    assert cents(amount) == expected


@pytest.mark.parametrize(
    ("price", "percent", "expected"),
    [
        pytest.param(1000, 0, 1000, id="none"),
        pytest.param(999, 50, 500, id='50 % off: "A/B" [web::shop] für 5 €'),
    ],
)
def test_discounted(price, percent, expected):
    assert discounted(price, percent) == expected


def test_discount_of_more_than_everything():
    with pytest.raises(ValueError, match="101 %"):
        discounted(1000, 101)


class TestBasket:
    def test_empty(self):
        assert Basket().total == 0

    def test_total(self):
        basket = Basket()
        basket.add("tea", 790, 2)
        basket.add("pot", 2450)
        assert basket.total == 4030


@pytest.mark.skip(reason="the shop sells in euros only")
def test_other_currencies():
    assert cents("1.00 USD") == 92
