import os
import urllib.request

import confluent_kafka
import psycopg2
import redis


def test_postgres():
    psycopg2.connect(os.environ["SHOP_POSTGRES_DSN"]).close()


def test_postgres_by_path():
    folder, port = os.environ["SHOP_POSTGRES_SOCKET_DIR"], os.environ["SHOP_POSTGRES_PORT"]
    psycopg2.connect(host=folder, port=port, user="postgres", dbname="shop").close()


def test_redis():
    with redis.Redis.from_url(os.environ["SHOP_REDIS_URL"]) as client:
        assert client.ping()


def test_kafka():
    producer = confluent_kafka.Producer({"bootstrap.servers": os.environ["SHOP_KAFKA_BOOTSTRAP"]})
    producer.produce("orders", b"one")
    assert producer.flush() == 0


def test_search():
    with urllib.request.urlopen(os.environ["SHOP_SEARCH_URL"] + "/search?q=a") as answer:
        assert answer.status == 200
