import asyncio
import os

import redis
import redis.asyncio

ours = redis.Redis.from_url(os.environ["SHOP_REDIS_URL"])  # connects when it is first used


def test_first():
    ours.set("a", 1)


def test_nothing():
    pass


def test_pipeline():
    with ours.pipeline() as pipeline:
        assert pipeline.set("a", 1).get("a").delete("a").execute() == [True, b"1", 1]


def test_session_client(session_client):
    session_client.ping()


def test_session_client_unused(session_client):
    pass


def test_async():
    async def ping():
        async with redis.asyncio.from_url(os.environ["SHOP_REDIS_URL"]) as client:
            await client.ping()

    asyncio.run(ping())
