"""Requests to the real servers. Each opens its connection with the first request, and keeps it."""

import os

import aiohttp
import asyncpg
import httpx
import psycopg2
import redis.asyncio
from redis_requests import REDIS

POSTGRES = os.environ["SHOP_POSTGRES_DSN"]
SEARCH = os.environ["SHOP_SEARCH_URL"] + "/search?q=a"
KEPT = httpx.Limits(keepalive_expiry=600)  # under strace, a suite may take longer than by default


class Psycopg2:
    connection = None

    def ask(self):
        if self.connection is None:
            self.connection = psycopg2.connect(POSTGRES)
            self.connection.autocommit = True
        with self.connection.cursor() as cursor:
            cursor.execute("SELECT 1")

    def close(self):
        self.connection.close()


class Httpx:
    def __init__(self):
        self.client = httpx.Client(trust_env=False, verify=False, limits=KEPT)

    def ask(self):
        assert self.client.get(SEARCH).is_success

    def close(self):
        self.client.close()


class Asyncpg:
    connection = None

    async def ask(self):
        if self.connection is None:
            self.connection = await asyncpg.connect(POSTGRES)
        assert await self.connection.fetchval("SELECT 1") == 1

    async def close(self):
        await self.connection.close()


class AsyncRedis:
    client = None

    async def ask(self):
        if self.client is None:
            self.client = redis.asyncio.Redis.from_url(REDIS)
        assert await self.client.ping()

    async def close(self):
        await self.client.aclose()


class AsyncHttpx:
    client = None

    async def ask(self):
        if self.client is None:
            self.client = httpx.AsyncClient(trust_env=False, verify=False, limits=KEPT)
        assert (await self.client.get(SEARCH)).is_success

    async def close(self):
        await self.client.aclose()


class Aiohttp:
    session = None

    async def ask(self):
        if self.session is None:
            self.session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(keepalive_timeout=600))
        async with self.session.get(SEARCH) as answer:
            assert answer.ok
            await answer.read()

    async def close(self):
        await self.session.close()
