"""Requests to Redis. Processes import this module only, because the others take long."""

import os

import redis

REDIS = os.environ["SHOP_REDIS_URL"]


class Redis:
    def __init__(self):
        self.client = redis.Redis.from_url(REDIS)

    def ask(self):
        assert self.client.ping()

    def close(self):
        self.client.close()


_of_this_process = Redis()


class RedisInProcess:
    """For processes, which cannot receive a connection."""

    @staticmethod
    def ask():
        _of_this_process.ask()

    @staticmethod
    def close():
        _of_this_process.close()
