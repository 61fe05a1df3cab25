import asyncio
import os

import asyncpg
import pytest


@pytest.fixture(scope="session")
def loop():
    loop = asyncio.new_event_loop()
    yield loop
    loop.close()


@pytest.fixture(scope="session")
def pool(loop):
    async def create():
        return await asyncpg.create_pool(os.environ["SHOP_POSTGRES_DSN"], min_size=1, max_size=2)

    pool = loop.run_until_complete(create())
    yield pool
    loop.run_until_complete(pool.close())
