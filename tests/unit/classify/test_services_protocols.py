from __future__ import annotations

import contextlib
import smtplib
import socket
import ssl
import threading
import urllib.request
from collections.abc import Callable
from http.client import HTTPException

import confluent_kafka
import psycopg
import psycopg2
import pytest
import redis
from hypothesis import example, given
from hypothesis import strategies as st
from redis.backoff import NoBackoff
from redis.retry import Retry

from tracer.classify.services.protocols import (
    MATCHERS,
    recognise,
)
from tracer.classify.services.requests import KAFKA_API_VERSIONS, kafka_api_key

SEEN = 32  # bytes that a capture keeps of a send
PATIENCE_S = 10
CLIENT_ERRORS = (
    OSError,
    HTTPException,
    smtplib.SMTPException,
    redis.RedisError,
    psycopg.Error,
    psycopg2.Error,
    confluent_kafka.KafkaException,
)

# Openings as real clients sent them to a listening socket; what differs from run to run is of that run.
RECORDED = {
    "pymongo 4.20": ("mongodb", "4a010000 67458b6b 00000000 dd070000 00000000 00 35010000 1069736d617374"),
    "PyMySQL 1.2, asking for TLS": ("mysql", "20000001 05aa3a00 ffffff00 2d" + "00" * 23),
    "pymemcache 4.0, get": ("memcached", b"get k\r\n".hex()),
    "pymemcache 4.0, set": ("memcached", b"set k 0 0 1 noreply\r\nv\r\n".hex()),
    "kafka-python 3.0": ("kafka", "00000037 0012 0004 00000001 0017" + b"kafka-python-produ".hex()),
    "aiokafka 0.14": ("kafka", "0000001d 0012 0000 00000001 0013" + b"aiokafka-producer-".hex()),
    "clickhouse-driver 0.2": ("clickhouse", "00 18" + b"ClickHouse python-driver".hex() + "140a c4a90300"),
    "kazoo 2.11": ("zookeeper", "0000002d 00000000 0000000000000000 000007d0 0000000000000000 00000010"),
    "pika 1.4": ("amqp", b"AMQP\0\0\x09\x01".hex()),
    "grpcio 1.85": ("http2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\x24\x04\0\0\0\0".hex()),
    "nats-py 2.16": ("nats", b'CONNECT {"echo": true, "lang": "'.hex()),
    "cassandra-driver 3.30, DSE's version 2": ("cassandra", "42 00 0000 05 00000000"),
}

# Openings by the protocols' documents.
DOCUMENTED = {
    "postgres StartupMessage 3.2": ("postgres", "00000029 00030002 7573657200 706f737467726573 00"),
    "postgres GSSENCRequest": ("postgres", "00000008 04d21630"),
    "postgres CancelRequest": ("postgres", "00000010 04d2162e 00001a2b 3c4d5e6f"),
    "kafka Metadata v1, null client id": ("kafka", "0000000e 0003 0001 00000001 ffff ffffffff"),
    "kafka ApiVersions v3, empty client id": ("kafka", "00000021 0012 0003 00000001 0000 00 0b 6b61666b61"),
    "kafka Produce v7, producer-1": ("kafka", "000000a5 0000 0007 00000003 000a 70726f64756365722d31 ffff ffff"),
    "kafka SaslHandshake v1": ("kafka", "00000019 0011 0001 00000000 0006 636c69656e74 0005 504c41494e"),
    "mysql HandshakeResponse41": ("mysql", "54000001 8da20b00 00000040 08" + "00" * 23 + "726f6f7400"),
    "mariadb, extended capabilities": ("mysql", "9c000001 84a63f20 00000040 2d" + "00" * 19 + "1d000000"),
    "mongodb isMaster, OP_QUERY": ("mongodb", "dc000000 78563412 00000000 d4070000 00000000 61646d696e2e24636d6400"),
    "memcached binary version": ("memcached", "800b 0000 00 00 0000 00000000 00000000 0000000000000000"),
    "memcached binary SASL": ("memcached", "8021 0005 00 00 0000 00000010 00000000 0000000000000000 504c41494e"),
    "cassandra OPTIONS, v4": ("cassandra", "04 00 0000 05 00000000"),
    "cassandra OPTIONS, v5": ("cassandra", "05 00 0001 05 00000000"),
    "cassandra STARTUP, v3": ("cassandra", "03 00 0000 01 00000016 0001 000b 43514c5f56455253494f4e 0005 332e302e30"),
    "clickhouse Hello": ("clickhouse", "00 11" + b"ClickHouse client".hex() + "17 08 b4a903 00 07" + b"default".hex()),
    "zookeeper, read-only flag": (
        "zookeeper",
        "0000002d 00000000 0000000000000000 00007530 0000000000000000 00000010" + "00" * 16 + "00",
    ),
    "zookeeper, old, session resumed": (
        "zookeeper",
        "0000002c 00000000 0000000500000011 00002710 0163a1b2c3d4e5f6 00000010" + "5a" * 16,
    ),
    "amqp 1.0": ("amqp", b"AMQP\0\x01\0\0".hex()),
    "amqp 1.0 SASL": ("amqp", b"AMQP\x03\x01\0\0".hex()),
    "http proxied": ("http", b"GET http://example.org/ HTTP/1.1\r\n".hex()),
    "http OPTIONS *": ("http", b"OPTIONS * HTTP/1.1\r\n".hex()),
    "http CONNECT": ("http", b"CONNECT [2001:db8::1]:443 HTTP/1.1\r\n".hex()),
    "nats CONNECT": ("nats", b'CONNECT {"verbose":false,"pedantic":false}\r\n'.hex()),
    "memcached gets, several keys": ("memcached", b"gets a b c\r\n".hex()),
    "memcached set": ("memcached", b"set user:17 0 -1 5 noreply\r\nvalue\r\n".hex()),
    "memcached set, cut within the key": ("memcached", b"set a-key-that-is-longer-than-what-is-seen 0 0 5\r\n".hex()),
    "memcached meta get": ("memcached", b"mg foo t v\r\n".hex()),
    "memcached version": ("memcached", b"version\r\n".hex()),
}
OPENINGS = RECORDED | DOCUMENTED

# Openings of protocols that have no matcher, and bytes that look nearly like one that has.
FOREIGN = {
    "nothing": "",
    "zeros": "00" * SEEN,
    "ones": "ff" * SEEN,
    "redis inline": b"PING\r\n".hex(),
    "a text protocol's own line": b"get me something\n".hex(),
    "beanstalkd": b"use jobs\r\n".hex(),
    "upper case is no memcached": b"GET key\r\n".hex(),
    "lower case is no http": b"put / HTTP/1.1\r\n".hex(),
    "rtsp": b"OPTIONS * RTSP/1.0\r\nCSeq: 1\r\n".hex(),
    "ssh": b"SSH-2.0-OpenSSH_9.2p1\r\n".hex(),
    "mssql prelogin": "1201002f 00000100 00001a00 06010020 00010200 21000103 00220004",
    "ldap bind": "300c 020101 6007 020103 0400 8000",
    "mqtt CONNECT": "101f 0004 4d515454 04 02 003c 0013" + b"paho-0123456789".hex(),
    "dns over udp, a long label": "0013 0120 0001 0000 00000001 18" + b"a-label-of-24-characters".hex(),
    "dns over tcp": "001d abcd 0100 0001 0000 0000 0000 07" + b"example".hex(),
    "neo4j bolt": "6060b017 00000404 00000004 00000003 00000000",
    "thrift, framed": "00000024 80010001 00000007" + b"getName".hex(),
    "length-prefixed protobuf": "00000025 00000021 0802121d 2a0c 312e32",
    "socks 5": "05 01 00",
    "statsd": b"requests:1|c".hex(),
    "postgres protocol 2": "00000128 00020000" + b"database".hex() + "00" * 16,
    "tls alert": "15 0303 0002 0228",
    "tls ServerHello": "16 0303 007a 02 000076 0303",
    "mysql, something where zeros are reserved": "20000001 8dae0b00 00000001 ff" + "00" * 18 + "01",
    "mysql, packet 0": "20000000 8dae0b00 00000001 ff" + "00" * 23,
    "mongodb, an answer": "37010000 01000000 01000000 dd070000 00000000 00",
    "cassandra, a later request": "04 00 0000 07 00000010",
    "kafka, a negative correlation id": "0000000e 0003 0001 80000001 ffff ffffffff",
    "kafka, an unprintable client id": "00000010 0003 0001 00000001 0002 0102 ffff",
    "kafka, zeros where an id ought to be": "00000128 0002 0000 00000000 0000" + "00" * 18,
    "kafka, a client id beyond the request": "0000000a 0003 0001 00000001 0005 6162636465",
}


def first_sends(client: Callable[[int], object], greeting: bytes = b"", answers: tuple[bytes, ...] = ()) -> list[bytes]:
    """What a real client sends to a port: at once or after a greeting, and once more after each answer."""

    def run() -> None:
        # No client gets far with this server, and each says so in its own way.
        with contextlib.suppress(*CLIENT_ERRORS):
            client(listener.getsockname()[1])

    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(PATIENCE_S)
        thread = threading.Thread(target=run)
        thread.start()
        try:
            connection, _ = listener.accept()
            with connection:
                connection.settimeout(PATIENCE_S)
                connection.sendall(greeting)
                sends = [connection.recv(65536)[:SEEN]]
                for answer in answers:
                    connection.sendall(answer)
                    sends.append(connection.recv(65536)[:SEEN])
        finally:
            listener.close()
            thread.join(PATIENCE_S)
    assert not thread.is_alive()
    return sends


def only_matcher(send: bytes) -> str:
    names = [name for name, matches in MATCHERS.items() if matches(send)]
    assert len(names) == 1, (names, send)
    return names[0]


def libpq(connect: Callable[[str], object], extra: str) -> Callable[[int], object]:
    return lambda port: connect(f"host=127.0.0.1 port={port} user=me dbname=db connect_timeout=5 {extra}")


@pytest.mark.parametrize("connect", [psycopg2.connect, psycopg.connect], ids=["psycopg2", "psycopg"])
def test_real_libpq(connect: Callable[[str], object]) -> None:
    plain = first_sends(libpq(connect, "sslmode=disable"))
    assert [only_matcher(send) for send in plain] == ["postgres"]
    # It asks for TLS; when that is refused (`N`) a StartupMessage follows, when it is granted (`S`) a ClientHello.
    refused = first_sends(libpq(connect, "sslmode=prefer gssencmode=disable"), answers=(b"N",))
    assert [only_matcher(send) for send in refused] == ["postgres", "postgres"]
    granted = first_sends(libpq(connect, "sslmode=require gssencmode=disable"), answers=(b"S",))
    assert [only_matcher(send) for send in granted] == ["postgres", "tls"]
    assert recognise(granted) == "postgres"


def test_real_redis_py() -> None:
    def ping(port: int) -> None:
        with redis.Redis("127.0.0.1", port, socket_timeout=5, retry=Retry(NoBackoff(), 0)) as client:
            client.ping()

    assert only_matcher(*first_sends(ping)) == "redis"


def test_real_librdkafka() -> None:
    def produce(port: int) -> None:
        options = {"bootstrap.servers": f"127.0.0.1:{port}", "log_level": 0, "error_cb": errors.append}
        producer = confluent_kafka.Producer(options)
        producer.produce("topic", b"value")
        producer.poll(PATIENCE_S)  # until the server has hung up, which is an error
        producer.purge()

    errors: list[confluent_kafka.KafkaError] = []
    (send,) = first_sends(produce)
    assert errors
    assert only_matcher(send) == "kafka"
    assert kafka_api_key(send[:8]) == KAFKA_API_VERSIONS


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "PROPFIND"])
def test_real_http(method: str) -> None:
    def request(port: int) -> None:
        urllib.request.urlopen(urllib.request.Request(f"http://127.0.0.1:{port}/a", method=method), timeout=5)

    assert only_matcher(*first_sends(request)) == "http"


def test_real_tls() -> None:
    def handshake(port: int) -> None:
        context = ssl.create_default_context()
        with socket.create_connection(("127.0.0.1", port), 5) as plain, context.wrap_socket(plain, server_hostname="x"):
            pass

    assert only_matcher(*first_sends(handshake)) == "tls"


def test_real_smtplib() -> None:
    def send(port: int) -> None:
        with smtplib.SMTP("127.0.0.1", port, timeout=5) as client:
            client.ehlo()

    assert only_matcher(*first_sends(send, greeting=b"220 test\r\n")) == "smtp"


@pytest.mark.parametrize("name", OPENINGS)
def test_recorded_and_documented_openings_have_exactly_one_matcher(name: str) -> None:
    protocol, opening = OPENINGS[name]
    assert only_matcher(bytes.fromhex(opening)[:SEEN]) == protocol


@pytest.mark.parametrize("name", FOREIGN)
def test_foreign_openings_have_none(name: str) -> None:
    assert recognise([bytes.fromhex(FOREIGN[name])[:SEEN]]) is None


def test_every_protocol_has_an_opening_here() -> None:
    real = {"postgres", "redis", "kafka", "http", "tls", "smtp"}
    assert {protocol for protocol, _ in OPENINGS.values()} | real == set(MATCHERS)


def test_the_first_send_that_says_something_decides() -> None:
    assert recognise([]) is None
    assert recognise([b"\x05\x01\x00", b"\x05\x01\x00\x03", b"*1\r\n$4\r\nPING\r\n"]) == "redis"
    assert recognise([b"CONNECT db:443 HTTP/1.1\r\n", b"AMQP\0\0\x09\x01"]) == "http"


@given(st.lists(st.binary(max_size=40), max_size=5))
@example([b"\x80" * 24])
def test_recognition_never_raises(sends: list[bytes]) -> None:
    assert recognise(sends) in {*MATCHERS, None}


@pytest.mark.parametrize("name", OPENINGS)
def test_a_send_that_is_cut_short_is_never_taken_for_another_protocol(name: str) -> None:
    protocol, opening = OPENINGS[name]
    found = {recognise([bytes.fromhex(opening)[:length]]) for length in range(SEEN)}
    assert found <= {protocol, None}
