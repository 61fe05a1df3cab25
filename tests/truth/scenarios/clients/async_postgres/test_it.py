import asyncio
import os

import asyncpg
import psycopg


def test_asyncpg():
    async def select():
        connection = await asyncpg.connect(os.environ["SHOP_POSTGRES_DSN"])
        assert await connection.fetchval("SELECT 1") == 1
        await connection.close()

    asyncio.run(select())


def test_asyncpg_pool(loop, pool):
    assert loop.run_until_complete(pool.fetchval("SELECT 1")) == 1


def test_asyncpg_pool_grows(loop, pool):
    async def select():
        async with pool.acquire() as first, pool.acquire() as second:
            assert await first.fetchval("SELECT 1") == await second.fetchval("SELECT 1")

    loop.run_until_complete(select())


def test_psycopg():
    async def select():
        connection = await psycopg.AsyncConnection.connect(os.environ["SHOP_POSTGRES_DSN"])
        async with connection:
            await connection.execute("SELECT 1")

    asyncio.run(select())


def test_nothing(loop):
    pass
