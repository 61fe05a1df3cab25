import asyncio
import os
from concurrent.futures import ThreadPoolExecutor

import httpx
import urllib3
from settled import settle

SEARCH = os.environ["SHOP_SEARCH_URL"] + "/search?q=a"
pool = urllib3.PoolManager()
worker = ThreadPoolExecutor(1)


def test_requests(session):
    assert session.get(SEARCH).ok


def test_requests_unused(session):
    pass


def test_urllib3():
    assert pool.request("GET", SEARCH).status == 200


def test_urllib3_again():
    assert pool.request("GET", SEARCH).status == 200


def test_urllib3_in_a_worker():
    settle()
    worker.submit(pool.request, "GET", SEARCH).result()


def test_httpx(client):
    assert client.get(SEARCH).is_success


def test_httpx_in_the_worker(client):
    settle()
    worker.submit(client.get, SEARCH).result()


def test_urllib3_in_the_worker_again():
    settle()
    worker.submit(pool.request, "GET", SEARCH).result()


def test_httpx_async():
    async def get():
        async with httpx.AsyncClient(trust_env=False) as client:
            assert (await client.get(SEARCH)).is_success

    asyncio.run(get())
