import os
import subprocess

import psycopg2
import redis

DSN, DIRECTORY, PORT = (os.environ["SHOP_POSTGRES_" + name] for name in ("DSN", "SOCKET_DIR", "PORT"))
URL = os.environ["SHOP_REDIS_URL"]


def query(**where):
    connection = psycopg2.connect(**where)
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
        assert cursor.fetchone() == (1,)
    connection.close()


def psql(*where):
    subprocess.run(["psql", "-X", "-w", "-c", "SELECT 1", *where], check=True)


def test_libpq():
    query(dsn=DSN)


def test_libpq_at_a_path():
    query(host=DIRECTORY, port=PORT, user="postgres", dbname="shop")


def test_psql():
    psql(DSN)


def test_psql_at_a_path():
    psql("-h", DIRECTORY, "-p", PORT, "-U", "postgres", "shop")


def test_redis():
    with redis.Redis.from_url(URL) as client:
        assert client.ping()


def test_redis_cli():
    assert subprocess.run(["redis-cli", "-u", URL, "PING"], stdout=subprocess.PIPE).stdout == b"PONG\n"


def test_a_cache_that_may_be_missing():
    try:
        with redis.Redis.from_url(URL) as client:
            client.get("price")
    except redis.exceptions.ConnectionError:
        pass
