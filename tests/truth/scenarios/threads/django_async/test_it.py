import asyncio

from django.core.cache import cache
from django.test import AsyncClient
from models import Order
from settled import settle


async def test_first_query():
    await Order.objects.acreate(name="a")


async def test_second_query():
    settle()
    assert await Order.objects.acount() == 1


async def test_first_use_of_the_cache():
    settle()
    await cache.aset("order", 1)


async def test_second_use_of_the_cache():
    settle()
    assert await cache.aget("order") == 1


async def test_both():
    settle()
    assert await cache.aget("order") == await Order.objects.acount()


async def test_view():
    settle()
    answer = await AsyncClient().get("/orders")
    assert answer.json() == {"orders": 1}


async def test_sleeps():
    await asyncio.sleep(0.1)


def test_without():
    pass
