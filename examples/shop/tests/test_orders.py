import psycopg2.errors
import pytest
from shop.models import Order, checkout, orders_of
from shop.pricing import Basket


def test_new_order_has_no_id(customer):
    assert Order(customer, 790).id is None


def test_no_orders(db, customer):
    assert orders_of(db, customer) == []


def test_negative_amount_is_refused(db, customer):
    with pytest.raises(psycopg2.errors.CheckViolation), db.cursor() as cursor:
        cursor.execute("INSERT INTO orders (customer, cents) VALUES (%s, -1)", (customer,))


@pytest.mark.xfail(reason="customers' names are compared by case")
def test_customer_is_found_in_any_case(db, customer):
    with db.cursor() as cursor:
        cursor.execute("INSERT INTO orders (customer, cents) VALUES (%s, 790)", (customer,))
    assert orders_of(db, customer.upper()) != []


@pytest.mark.requires_kafka
def test_save_publishes(db, customer):
    order = Order(customer, 790)
    order.save(db)
    assert orders_of(db, customer) == [order]


class TestCheckout:
    def test_empty_basket_is_refused(self, db, customer):
        with pytest.raises(ValueError, match="empty"):
            checkout(db, customer, Basket())

    def test_stores_the_order(self, db, customer):
        basket = Basket()
        basket.add("tea", 790, 2)
        checkout(db, customer, basket)
        assert [order.cents for order in orders_of(db, customer)] == [1580]
