"""Prices and carts in Redis."""

import redis

from shop import settings

PRICE_S = 300  # how long a price may be remembered


def connect(number=0):
    return redis.Redis.from_url(settings.REDIS_URL, db=number, decode_responses=True)


def price_key(sku):
    return f"price:{sku.casefold()}"


def remember_price(client, sku, cents):
    client.set(price_key(sku), cents, ex=PRICE_S)


def price(client, sku):
    cents = client.get(price_key(sku))
    return None if cents is None else int(cents)


def add_to_cart(client, customer, sku, quantity=1):
    return client.hincrby(f"cart:{customer}", sku, quantity)


def cart(client, customer):
    return {sku: int(quantity) for sku, quantity in client.hgetall(f"cart:{customer}").items()}


def cart_line(sku, quantity):
    return f"{quantity} × {sku}"
