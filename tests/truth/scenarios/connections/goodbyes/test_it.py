import os
import socket
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

import psycopg2

left = []
worker = ThreadPoolExecutor(1)


def select(connection):
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
        assert cursor.fetchone() == (1,)
    connection.rollback()


def redis_command(client, name):
    client.sendall(b"*1\r\n$4\r\n%s\r\n" % name)
    assert client.recv(100)[:1] == b"+"


def test_opens_on_demand(lazy_pool):
    lazy_pool.select()


def test_only_requests_the_pool(lazy_pool):
    pass


def test_opens_what_the_teardown_uses(resetting_pool):
    resetting_pool.select()


def test_only_requests_the_other_pool(resetting_pool):
    pass


def test_leaves_clients():
    for _ in range(3):
        connection = psycopg2.connect(os.environ["SHOP_POSTGRES_DSN"])
        for _ in range(5):
            select(connection)
        left.append(connection)
    address = urlsplit(os.environ["SHOP_REDIS_URL"])
    client = socket.create_connection((address.hostname, address.port))
    for _ in range(5):
        redis_command(client, b"PING")
    left.append(client)


def test_quits_redis():
    redis_command(left.pop(), b"QUIT")


def test_collects_a_client():
    left.pop()  # the last reference


def test_closes_in_a_worker():
    worker.submit(left.pop().close).result()


def test_uses_and_closes():
    connection = left.pop()
    select(connection)
    connection.close()


def test_nothing():
    pass
