import os
import socket

import psycopg2
import redis


def ping(client):
    with client:
        assert client.execute_command("PING")


def test_redis(redis_server):
    with socket.create_connection(("127.0.0.1", redis_server["port"])) as sock:
        sock.sendall(b"*1\r\n$4\r\nPING\r\n")
        assert sock.recv(7) == b"+PONG\r\n"


def test_redis_by_unix_socket(redis_server):
    with socket.socket(socket.AF_UNIX) as sock:
        sock.connect(redis_server["path"])
        sock.sendall(b"*1\r\n$4\r\nPING\r\n")
        assert sock.recv(7) == b"+PONG\r\n"


def test_external_redis():
    ping(redis.Redis.from_url(os.environ["SHOP_REDIS_URL"]))


def query(sockets=None, **address):
    connection = psycopg2.connect(**address)
    with connection.cursor() as cursor:
        cursor.execute("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()")
        (encrypted,) = cursor.fetchone()
    connection.close()
    return encrypted


def test_postgres(postgres_server):
    assert not query(host="127.0.0.1", sslmode="disable", **postgres_server)


def test_postgres_by_unix_socket(postgres_server):
    assert not query(host=postgres_server["sockets"], **postgres_server)


def test_postgres_over_tls(postgres_server):
    assert query(host="127.0.0.1", sslmode="require", **postgres_server)


def test_nothing():
    pass
