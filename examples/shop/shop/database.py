"""Connections to PostgreSQL."""

import psycopg
import psycopg2
from psycopg2.pool import ThreadedConnectionPool

from shop import settings


def connect():
    return psycopg2.connect(settings.POSTGRES_DSN)


def connect_locally():
    """Over the unix socket, for reports that run on the database's own host."""
    return psycopg.connect(
        host=settings.POSTGRES_SOCKET_DIR, port=settings.POSTGRES_PORT, user="postgres", dbname="shop"
    )


def make_pool(size):
    """A pool whose connections are all opened now."""
    return ThreadedConnectionPool(size, size, settings.POSTGRES_DSN)


def migrations():
    """The names of the migrations that the database has seen, in their order."""
    connection = connect()
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT name FROM migrations ORDER BY name")
            return [name for (name,) in cursor.fetchall()]
    finally:
        connection.close()
