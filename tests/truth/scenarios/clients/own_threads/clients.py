"""The clients: the name begins with the service."""

from functools import partial

from own_workers import Asgiref, PoolInPool, Portal, Processes, QueueThread, ToThread
from redis_requests import Redis, RedisInProcess
from requests_of import SEARCH, Aiohttp, AsyncHttpx, Asyncpg, AsyncRedis, Httpx, Psycopg2
from sentry_sdk import Client as SentryClient
from sentry_sdk.transport import HttpTransport
from workers import Client, LoopThread, Pool


class Sentry:
    """Its client has a queue and a thread, which sends."""

    def __init__(self):
        dsn = SEARCH.replace("//", "//key@").partition("/search")[0] + "/1"
        options = {"default_integrations": False, "auto_session_tracking": False, "send_client_reports": False}
        options["_experiments"] = {"transport_compression_level": 0}  # the server expects text
        self.client = SentryClient(dsn, transport=_Transport, **options)

    def use(self):
        assert self.client.capture_event({"message": "from a test"})
        self.client.flush(30)

    def close(self):
        self.client.close()


class _Transport(HttpTransport):
    def _request(self, method, *args, **kwargs):
        return super()._request("PUT", *args, **kwargs)  # the server knows no POST


CLIENTS = {
    "postgres-asgiref": partial(Client, Asgiref, Psycopg2),
    "postgres-loop_thread": partial(Client, LoopThread, Asyncpg),
    "postgres-pool_in_pool": partial(Client, PoolInPool, Psycopg2),
    "postgres-to_thread": partial(Client, ToThread, Psycopg2),
    "redis-pool": partial(Client, Pool, Redis),
    "redis-loop_thread": partial(Client, LoopThread, AsyncRedis),
    "redis-fork": partial(Client, partial(Processes, "fork"), RedisInProcess),
    "redis-spawn": partial(Client, partial(Processes, "spawn"), RedisInProcess),
    "forkserver-redis": partial(Client, partial(Processes, "forkserver"), RedisInProcess),
    "search-aiohttp": partial(Client, LoopThread, Aiohttp),
    "search-httpx": partial(Client, LoopThread, AsyncHttpx),
    "search-portal": partial(Client, Portal, AsyncHttpx),
    "search-queue": partial(Client, QueueThread, Httpx),
    "search-sentry": Sentry,
}
