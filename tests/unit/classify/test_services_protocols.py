from __future__ import annotations

import contextlib
import smtplib
import socket
import ssl
import threading
import urllib.request
from collections.abc import Callable
from http.client import HTTPException
from random import Random

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
    "cassandra-driver 3.30, version 5": ("cassandra", "05 00 0000 05 00000000"),
    "cassandra-driver 3.30, STARTUP": (
        "cassandra",
        "04 00 0001 01 0000005b 0003 000b 4452495645525f4e414d45 001e" + b"Apache".hex(),
    ),
    "paho-mqtt 2.2, version 3.1": ("mqtt", "1015 0006 4d5149736470 03 02 0001 0007" + b"probe-1".hex()),
    "paho-mqtt 2.2, version 3.1.1": ("mqtt", "1013 0004 4d515454 04 02 0001 0007" + b"probe-1".hex()),
    "paho-mqtt 2.2, version 5": ("mqtt", "1014 0004 4d515454 05 02 0001 00 0007" + b"probe-1".hex()),
    "ldap3 2.9, Bind": ("ldap", "301f 020101 601a 020103 040d" + b"cn=admin,dc=x".hex() + "8006" + b"secret".hex()),
    "ldap3 2.9, anonymous Bind": ("ldap", "300c 020101 6007 020103 0400 8000"),
    "ldap3 2.9, Search": (
        "ldap",
        "302e 020102 6329 0404 64633d78 0a0102 0a0103 020100 020100 010100 870b 6f626a656374",
    ),
    "ldap3 2.9, Search of the root": (
        "ldap",
        "3081f8 020101 6381f2 0400 0a0100 0a0103 020100 020100 010100 870b 6f626a6563",
    ),
    "neo4j 6.4": ("bolt", "6060b017 000001ff 00080805 00020404 00000003"),
    "python-tds 1.17": ("tds", "1201003a 00000000 00001a0006 0100200001 020021000c 03002d0004 0400310001 ff 01"),
    "pymssql 2.4 (FreeTDS)": ("tds", "1201003a 00000000 00001a0006 0100200001 020021000c 03002d0004 0400310001 ff 09"),
    "pulsar-client 3.13": ("pulsar", "00000029 00000025 0802 1221 0a11" + b"Pulsar-CPP-v4.2.0".hex() + "20"),
    "pyzmq 27.3": ("zmtp", "ff 0000000000000001 7f"),
    "aioquic 1.7, version 1": ("quic", "c1 00000001 08 61a2245d58b1fbf3 08 062244c19b561dbf 00 41cd a238f3f8a68a"),
    "aioquic 1.7, version 2": ("quic", "d5 6b3343cf 08 eb72f28a5961bd7f 08 f0f8b9908c218314 00 41cd be3247c9a924"),
    "statsd 4.0, counter": ("statsd", b"app.foo:1|c".hex()),
    "statsd 4.0, timer": ("statsd", b"app.t.x:32.500000|ms".hex()),
    "statsd 4.0, gauge": ("statsd", b"app.g:-3|g".hex()),
    "statsd 4.0, set": ("statsd", b"app.u:bob|s".hex()),
    "statsd 4.0, several": ("statsd", b"app.a:1|c\napp.b:1|c|@0.999".hex()),
    "statsd 4.0, over TCP": ("statsd", b"foo:1|c\n".hex()),
    "datadog 0.56, tags": ("statsd", b"page.views:1|c|#env:x\n".hex()),
    "datadog 0.56, distribution": ("statsd", b"d:2|d|#env:x\n".hex()),
    "datadog 0.56, event": ("statsd", b"_e{5,4}:Title|text|#env:x\n".hex()),
    "datadog 0.56, service check": ("statsd", b"_sc|svc|0|#env:x\n".hex()),
    "graypy 2.1": ("gelf", b'{"version":"1.0","host":"vm","short_message"'.hex()),
    "graypy 2.1, the first of 3 chunks": ("gelf", "1e0f 9ddd6657be27d176 00 03 789c 4d98cb6e1db91186dfe5ac8d0159 6461"),
    "pygelf 0.4": ("gelf", b'{"version":"1.1","short_message":"hello"'.hex()),
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
    "cassandra STARTUP, DRIVER_VERSION first": (
        "cassandra",
        "04 10 0000 01 00000058 0004 000e" + b"DRIVER_VERSION".hex() + "0006 342e31",
    ),
    "mqtt, a long CONNECT with will and user": ("mqtt", "10 8102 0004 4d515454 04 ce 003c 0013" + b"0123456".hex()),
    "mqtt, a bridge of mosquitto": ("mqtt", "1019 0004 4d515454 84 0e 003c 000d" + b"host.bridge".hex()),
    "ldap StartTLS": ("ldap", "301d 020101 7718 8016" + b"1.3.6.1.4.1.1466.20037".hex()),
    "ldap Bind, lengths in 4 bytes": (
        "ldap",
        "3084 00000029 020105 6084 00000020 020103 0400 a384 00000015 0409" + b"GSS".hex(),
    ),
    "ldap Search, a long base": ("ldap", "305a 020103 6355 0420" + b"ou=people,dc=example,dc=org,c=de".hex()),
    "bolt 4.4 to 3": ("bolt", "6060b017 00020404 00000104 00000004 00000003"),
    "tds PRELOGIN of [MS-TDS], 4.1": (
        "tds",
        "1201002f 00000100 00001a0006 0100200001 0200210001 0300220004 0400260001",
    ),
    "pulsar CONNECT, older": ("pulsar", "00000013 0000000f 0802 120b 0a05" + b"2.7.0".hex() + "1800200f"),
    "zmtp 3.1, whole": ("zmtp", "ff 0000000000000000 7f 03 01" + b"NULL".hex() + "00" * 16),
    "zmtp 2.0": ("zmtp", "ff 0000000000000001 7f 01 01 00 00"),
    "quic of RFC 9001, A.2": ("quic", "c0 00000001 08 8394c8f03e515708 00 00 449e 7b9aec34d1b1c98dd7689fb8ec11"),
    "quic of RFC 9369, A.2": ("quic", "d7 6b3343cf 08 8394c8f03e515708 00 00 449e a0c95e82ffe67b6abcdb4298b485"),
    "statsd, sampled": ("statsd", b"gorets:1|c|@0.1".hex()),
    "dogstatsd 1.1, several values": ("statsd", b"users.online:1:2:3|h|#country".hex()),
    "gelf, spaces": ("gelf", b'{"version": "1.1", "host": "example.org"'.hex()),
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
    "dns over udp, a long label": "0013 0120 0001 0000 00000001 18" + b"a-label-of-24-characters".hex(),
    "dns over tcp": "001d abcd 0100 0001 0000 0000 0000 07" + b"example".hex(),
    "thrift, framed": "00000024 80010001 00000007" + b"getName".hex(),
    "length-prefixed protobuf": "00000025 00000021 0802121d 2a0c 312e32",
    "socks 5": "05 01 00",
    "execnet, the first frame": "03 00000001 00000111 4e00000004",
    "execnet, data": "04 00000001 00000016 4a00000003 4c00000001",
    "multiprocessing, an answer to a challenge": "00000010 8f0e7a5bd1c2934f6ea0b8c7d6e5f403",
    "multiprocessing, a challenge": "0000001f" + b"#CHALLENGE#0123456789abcdef".hex(),
    "multiprocessing, a pickled call": "0000002a 8005 95 1f00000000000000 284e 8c06" + b"create".hex(),
    "pickled bytes": "80049514000000000000008c",
    "socks 4": "0401 1538 7f000001 00",
    "x11": "6c00 0b00 0000 1200 1000 0000" + b"MIT-MAGIC-COOKIE-1".hex(),
    "d-bus": "00" + b"AUTH EXTERNAL 30\r\n".hex(),
    "d-bus, a message": "6c010001 00000000 01000000 6d000000 01016f00 15000000" + b"/org/fre".hex(),
    "journald": b"MESSAGE=hello\nPRIORITY=6\nSYSLOG_".hex(),
    "syslog, RFC 3164": b"<14>Nov 30 00:26:03 app: hello:1|c".hex(),
    "syslog, RFC 5424": b"<34>1 2003-10-11T22:14:15.003Z m".hex(),
    "dns over udp": "abcd 0100 0001 0000 0000 0000 07" + b"example".hex() + "03 636f6d 00 0001 0001",
    "snmp 2c": "3026 020101 0406" + b"public".hex() + "a019 020401 020100 020100",
    "snmp 3": "303e 020103 3011 02040a6d1f5e 0203 00ffe3 0401 04 020103 0410",
    "kerberos": "000000a1 6a819e 30819b a103020105 a20302010a",
    "rdp": "0300002f 2a e0 0000 0000 00" + b"Cookie: mstshash=u".hex(),
    "smb 2": "000000b8 fe534d42 4000 0100" + "00" * 20,
    "ntp": "23 02 0a 00" + "00" * 28,
    "rfb": b"RFB 003.008\n".hex(),
    "xmpp": b"<?xml version='1.0'?><stream:str".hex(),
    "irc": b"NICK me\r\n".hex(),
    "ftp": b"USER me\r\n".hex(),
    "imap": b"a1 LOGIN me secret\r\n".hex(),
    "rsync": b"@RSYNCD: 31.0\n".hex(),
    "telnet": "fffb1f fffb20 fffb18 fffb27 fffd01",
    "graphite": b"servers.web1.load 0.5 1795998000\n".hex(),
    "influxdb": b"cpu,host=a load=0.5\n".hex(),
    "zabbix": b"ZBXD\1".hex() + "5a00000000000000",
    "json-rpc 1.1": b'{"version":"1.1","method":"sum","p'.hex(),
    "json": b'{"host":"example.org","short_message"'.hex(),
    "zlib": "789c 4d8e4d0a83301085ef326b91aa68639062",
    "gzip": "1f8b08000000000002ff",
    "mqtt, the reserved flag": "1013 0004 4d515454 04 03 0001 0007" + b"probe-1".hex(),
    "mqtt, a will's QoS of 3": "1013 0004 4d515454 04 1e 0001 0007" + b"probe-1".hex(),
    "mqtt 6": "1013 0004 4d515454 06 02 0001 0007" + b"probe-1".hex(),
    "mqtt, a PUBLISH": "3007 0003 612f62 6869",
    "mqtt-sn": "0f 04 04 01 003c" + b"probe-001".hex(),
    "ldap 2": "300c 020101 6007 020102 0400 8000",
    "ldap, an answer": "300c 020101 6107 0a0100 0400 0400",
    "ldap, a request longer than its message": "300c 020101 6017 020103 0400 8000",
    "ldap, an operation without a name": "300a 020101 7705 8003 612e62",
    "bolt, a later message": "0002 b002 0000",
    "bolt's magic, and text": "6060b017" + b"GET / HTTP/1.1\r\n".hex(),
    "tds login": "1001009b 00000100 93000000 02000972 00100000",
    "tds 5 login (Sybase)": "0200 0200 0000 0000" + "766d" + "00" * 22,
    "tds, a TLS handshake within": "12010119 00000000 16030101 0c010001 0803",
    "tds, options of an odd length": "1201003a 00000000 00001b0006 0100200001 020021000c",
    "pulsar PING": "00000009 00000005 0812 9a0100",
    "zmtp 1.0": "01 00",
    "zmtp, a length too great": "ff 0000000000010000 7f",
    "quic, 0-RTT": "d0 00000001 08 8394c8f03e515708 00 00 449e 7b9aec34d1b1c98dd7689fb8ec11",
    "quic, a draft": "c0 ff00001d 08 8394c8f03e515708 00 00 449e 7b9aec34d1b1c98dd7689fb8ec11",
    "quic, a server's short id": "c0 00000001 04 8394c8f0 00 00 449e 7b9aec34d1b1c98dd7689fb8ec11",
    "quic, versions on offer": "c0 00000000 08 8394c8f03e515708 00 6b3343cf 00000001",
    "statsd, another type": b"requests:1|cc".hex(),
    "statsd, no number": b"requests:one|c".hex(),
    "statsd, no type": b"requests:1".hex(),
    "gelf, a later chunk": "1e0f 9ddd6657be27d176 01 03 c868c90519447ce6441e708a23b327f4a98f",
    "gelf, too many chunks": "1e0f 9ddd6657be27d176 00 81 789c 4d98cb6e1db91186dfe5ac8d0159 6461",
    "cassandra, OPTIONS with a body": "04 00 0000 05 00000000 00",
    "cassandra, STARTUP with other text": "04 00 0000 01 00000016 0001 000b" + b"cql_version".hex() + "0005 332e",
    "cassandra, a key of another length": "04 00 0000 01 00000016 0001 000c" + b"CQL_VERSION".hex() + "0005 332e",
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


def matching(send: bytes) -> set[str]:
    return {name for name, matches in MATCHERS.items() if matches(send)}


def only_matcher(send: bytes) -> str:
    names = matching(send)
    assert len(names) == 1, (names, send)
    return names.pop()


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
    assert matching(bytes.fromhex(FOREIGN[name])[:SEEN]) == set()


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
    for length in range(SEEN):
        assert matching(bytes.fromhex(opening)[:length]) <= {protocol}


@given(st.sampled_from([*OPENINGS.values()]), st.integers(0, SEEN), st.binary(max_size=2))
def test_a_changed_opening_is_never_taken_for_another_protocol(
    opening: tuple[str, str], position: int, change: bytes
) -> None:
    protocol, known = opening
    send = bytes.fromhex(known)
    changed = send[:position] + change + send[position + len(change) :]
    assert matching(changed[:SEEN]) <= {protocol}


@given(st.sampled_from([*OPENINGS.values(), *FOREIGN.items()]), st.integers(0, SEEN), st.binary(max_size=SEEN))
def test_no_bytes_have_two_matchers(opening: tuple[str, str], position: int, change: bytes) -> None:
    send = bytes.fromhex(opening[1])
    for changed in (send[:position] + change, send[:position] + change + send[position:]):
        assert len(matching(changed[:SEEN])) <= 1


def test_random_bytes_have_no_matcher() -> None:
    source = Random(20)
    assert not [send for _ in range(20_000) if matching(send := source.randbytes(source.randint(0, SEEN)))]
