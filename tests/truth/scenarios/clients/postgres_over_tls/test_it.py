import asyncio
import os
from concurrent.futures import ThreadPoolExecutor

import asyncpg
import psycopg
import psycopg2

DSN = os.environ["SHOP_POSTGRES_DSN"]
left = []
ENCRYPTED = "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()"


def encrypted(connection):
    with connection, connection.cursor() as cursor:
        cursor.execute(ENCRYPTED)
        return cursor.fetchone()[0]


def test_psycopg2():
    connection = psycopg2.connect(DSN, sslmode="require")
    assert encrypted(connection)
    connection.close()


def test_psycopg():
    assert encrypted(psycopg.connect(DSN, sslmode="require"))


def test_asyncpg():
    async def select():
        connection = await asyncpg.connect(DSN, ssl="require")
        assert await connection.fetchval(ENCRYPTED)
        await connection.close()

    asyncio.run(select())


def test_leaves_clients():
    for _ in range(2):
        connection = psycopg2.connect(DSN, sslmode="require")
        for _ in range(3):
            with connection.cursor() as cursor:
                cursor.execute("SELECT 1")
                assert cursor.fetchone() == (1,)
        left.append(connection)


def test_collects_a_client():
    left.pop()  # the last reference


def test_closes_in_a_worker():
    with ThreadPoolExecutor(1) as worker:
        worker.submit(left.pop().close).result()


def test_plain():
    connection = psycopg2.connect(DSN, sslmode="disable")
    assert not encrypted(connection)
    connection.close()


def test_nothing():
    pass
