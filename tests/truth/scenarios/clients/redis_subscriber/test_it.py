import os
from queue import SimpleQueue

import redis

client = redis.Redis.from_url(os.environ["SHOP_REDIS_URL"])
running = {}


def test_leaves_it_running():
    running["heard"] = SimpleQueue()
    running["pubsub"] = client.pubsub(ignore_subscribe_messages=True)
    running["pubsub"].subscribe(news=lambda message: hear(message["data"]))
    running["thread"] = running["pubsub"].run_in_thread(sleep_time=30)
    tell(b"first")


def hear(data):
    """In the subscriber's thread: it sends a PING."""
    running["pubsub"].ping(data)
    running["heard"].put(data)


def tell(data):
    client.publish("news", data)
    assert running["heard"].get(timeout=30) == data


def test_publishes():
    tell(b"second")


def test_nothing():
    pass


def test_stops_it():
    tell(b"third")
    running["thread"].stop()
    client.publish("news", b"wake up")
    running["thread"].join()
