"""Requests, housekeeping and goodbyes, by the first bytes of sends."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracer.classify.services.protocols import MATCHERS
from tracer.classify.services.requests import (
    IS_REQUEST,
    KAFKA_API_VERSIONS,
    KAFKA_PRODUCE,
    is_goodbye,
    is_http2_request,
    kafka_api_key,
    kind_of,
)

SEEN = 16  # bytes that a capture keeps of each send
SEEN_FIRST = 32  # … of a socket's first sends


@pytest.mark.parametrize(
    ("key", "head"),
    [
        (KAFKA_PRODUCE, "0000 0007"),
        (1, "0001 000b"),
        (3, "0003 000c"),
        (8, "0008 0007"),
        (12, "000c 0003"),
        (KAFKA_API_VERSIONS, "0012 0003"),
    ],
)
def test_the_api_key_of_a_kafka_request(key: int, head: str) -> None:
    assert kafka_api_key(bytes.fromhex("00000155" + head)) == key


@pytest.mark.parametrize(
    "head",
    [
        "",
        "00000155",
        "00000155 0000 00",
        "ffffffff 0000 0007",
        "00000155 0000 0100",
        "00000155 7fff 0007",
        "17030300 1a00 0007",
    ],
)
def test_what_begins_no_kafka_request_has_no_api_key(head: str) -> None:
    assert kafka_api_key(bytes.fromhex(head)) is None


@pytest.mark.parametrize(
    ("request_", "head"),
    [  # as grpcio 1.85 sent them; those in parentheses as RFC 9113 has them
        (True, "000008 01 04 000000"),  # HEADERS
        (True, "06c000 00 00 000000"),  # DATA
        (True, "000010 09 04 000000"),  # (CONTINUATION)
        (False, "000000 04 01 000000"),  # SETTINGS, acknowledged
        (False, "000008 06 01 000000"),  # PING, acknowledged
        (False, "000004 08 00 000000"),  # WINDOW_UPDATE
        (False, "000004 03 00 000000"),  # (RST_STREAM)
        (False, b"PRI * HT".hex()),  # the connection preface
        (False, "000008"),
        (False, ""),
    ],
)
def test_requests_of_http2_are_the_frames_of_a_request(request_: bool, head: str) -> None:
    assert is_http2_request(bytes.fromhex(head)) is request_


KINDS = [  # as cassandra-driver 3.30, kazoo 2.11, nats-py 2.16, paho-mqtt 2.2 and redis-py 8.1 sent them, else as the
    # sources in requests.py have them
    ("amqp", "housekeeping", b"AMQP\0\0\x09\x01".hex()),
    ("amqp", "housekeeping", "08 0000 00000000 ce"),
    ("amqp", "housekeeping", "01 0000 00000029 000a001f 07ff"),  # Connection.TuneOk
    ("amqp", "housekeeping", "01 0001 00000005 0014000a 00"),  # Channel.Open
    ("amqp", "housekeeping", "01 0001 0000000d 003c0050 00000000"),  # Basic.Ack
    ("amqp", "request", "01 0001 00000010 003c0028 0000"),  # Basic.Publish
    ("amqp", "request", "01 0001 0000000d 0032000a 0000"),  # Queue.Declare
    ("amqp", "request", "02 0001 0000000e 003c0000 00000000"),  # a content's header
    ("amqp", None, "01 0000 00000012 000a0032 00c8 06"),  # Connection.Close
    ("amqp", None, "04 0001 00000000"),
    ("cassandra", "housekeeping", "04 00 0000 05 00000000"),
    ("cassandra", "housekeeping", "04 00 0001 01 0000005b 0003 000b 4452"),
    ("cassandra", "housekeeping", "04 00 0002 0b 00000031 0003 000f"),
    ("cassandra", "request", "04 00 0003 07 00000024 0000001d 53454c"),
    ("cassandra", "request", "04 00 0003 0a 00000024 0010 00112233"),  # EXECUTE
    ("cassandra", "request", "04 02 0003 0d 00000024 00 0001"),  # BATCH, traced
    ("cassandra", "request", "2d0002 aabbcc 05 00 0007 07 00000024 00"),  # QUERY in a frame of version 5
    ("cassandra", "housekeeping", "090002 aabbcc 05 00 0007 05 00000000"),
    ("cassandra", None, "04 00 0003 0e 00000000"),
    ("cassandra", None, "84 00 0003 07 00000024"),  # an answer
    ("http2", "request", "000008 01 04 000000"),
    ("http2", "housekeeping", "000008 06 01 000000"),
    ("http2", None, "000008 07 00 00000000"),  # GOAWAY
    ("http2", None, b"PRI * HTTP/2.0\r\n".hex()),
    ("kafka", "request", "00000155 0000 0007"),
    ("kafka", "housekeeping", "00000155 000c 0003"),
    ("kafka", None, "00000155"),
    ("mqtt", "housekeeping", "1013 0004 4d515454 04 02 0001"),
    ("mqtt", "housekeeping", "c000"),
    ("mqtt", "housekeeping", "4002 0001"),  # PUBACK
    ("mqtt", "housekeeping", "6202 0001"),  # PUBREL
    ("mqtt", "request", "3007 0003 612f62 6869"),
    ("mqtt", "request", "3209 0003 612f62 0002 6869"),
    ("mqtt", "request", "8208 0003 0003 782f23 00"),
    ("mqtt", "request", "a207 0004 0003 782f23"),  # UNSUBSCRIBE
    ("mqtt", None, "e000"),
    ("nats", "housekeeping", b'CONNECT {"echo":'.hex()),
    ("nats", "housekeeping", b"PING\r\n".hex()),
    ("nats", "housekeeping", b"PONG\r\n".hex()),
    ("nats", "request", b"PUB a  1\r\nx\r\nSUB".hex()),
    ("nats", "request", b"hpub a 12 13\r\nNA".hex()),
    ("nats", "request", b"UNSUB 1\r\n".hex()),
    ("nats", None, b"PINGS".hex()),
    ("postgres", "housekeeping", "64 00000026 72 00000000 0000"),  # CopyData: a standby's status
    ("postgres", "housekeeping", "64 0000001d 68 00000000 0000"),  # its feedback
    ("postgres", "housekeeping", "70 00000036 534352414d2d534841"),  # SASLInitialResponse
    ("postgres", "housekeeping", "00000029 00030000 75736572"),
    ("postgres", "housekeeping", "00000008 04d2162f"),
    ("postgres", "request", "64 00000026 31 09 61"),  # CopyData: a row
    ("postgres", "request", "51 0000000d 53454c"),
    ("postgres", "request", "50 00000020 00 53454c"),
    ("postgres", "request", "42 00000020 00"),
    ("postgres", None, "58 00000004"),
    ("postgres", None, "53 00000004"),  # Sync
    ("redis", "request", b"*1\r\n$4\r\nPING\r\n".hex()),
    ("redis", "housekeeping", b"*2\r\n$5\r\nHELLO\r\n$1\r\n3\r\n".hex()),
    ("redis", "housekeeping", b"*4\r\n$6\r\nclient\r\n$7\r\n".hex()),
    ("redis", "request", b"*2\r\n$3\r\nGET\r\n$1\r\nk\r\n".hex()),
    ("redis", "request", b"*3\r\n$7\r\nPUBLISH\r\n".hex()),
    ("redis", None, b"*1\r\n$4\r\nQUIT\r\n".hex()),
    ("redis", None, b"PING\r\n".hex()),
    ("zookeeper", "housekeeping", "00000008 fffffffe 0000000b"),
    ("zookeeper", "housekeeping", "0000002d 00000000 00000005 00000011"),  # a session resumed
    ("zookeeper", "housekeeping", "0000001c fffffff8 00000065"),  # setWatches
    ("zookeeper", "request", "0000000f 00000001 00000003 00000002"),  # exists
    ("zookeeper", "request", "0000000f 00000105 0000000e 00000000"),  # multi
    ("zookeeper", None, "00000008 00000002 fffffff5"),
    ("zookeeper", None, "0000000f 00000001 00000063"),
    ("clickhouse", None, "0000000f 00000001"),
    (None, None, "c000"),
    ("mqtt", None, ""),
]


@pytest.mark.parametrize(("protocol", "kind", "head"), KINDS)
def test_a_send_is_a_request_or_housekeeping_or_unknown(protocol: str | None, kind: str | None, head: str) -> None:
    assert kind_of(protocol, bytes.fromhex(head)[:SEEN]) == kind


GOODBYES = [  # as the clients in brackets sent them, else as the sources in requests.py have them
    ("postgres", "5800000004"),
    ("mysql", "0100000001"),
    ("redis", b"*1\r\n$4\r\nQUIT\r\n".hex()),
    ("memcached", b"quit\r\n".hex()),
    ("memcached", "8007" + 22 * "00"),
    ("memcached", "8017" + 22 * "00"),
    ("smtp", b"QUIT\r\n".hex()),
    ("smtp", b"quit\r\n".hex()),
    ("amqp", "01 0000 00000012 000a0032 00c8 06"),
    ("amqp", "01 0001 00000014 00140028 00c8 06"),
    ("amqp", "01 0000 00000004 000a0033 ce"),
    ("http2", "000008 07 00 00000000 00000000"),
    ("zookeeper", "00000008 00000003 fffffff5"),
    ("bolt", "0002 b002 0000"),  # neo4j 6.4
    ("ldap", "3005 020103 4200"),  # ldap3 2.9
    ("ldap", "3006 0202012c 4200"),
    ("mongodb", "5d000000 67458b6b 00000000 dd070000 00000000 00 48000000 04" + b"endSessions".hex()),
    ("mqtt", "e000"),  # paho-mqtt 2.2
    ("mqtt", "e00104"),  # paho-mqtt 2.2, version 5
    ("mqtt", "e007 00 05 11 00000000"),
    ("pulsar", "0000000d 00000009 080f 7a05 0800 1003"),
    ("pulsar", "0000000e 0000000a 0810 8201 05 0800 1003"),
    ("ldap", "17 0303 0018 3d58"),
    ("postgres", "15 0303 001a 0000000000000002"),  # close_notify: TLS 1.2
    ("redis", "17 0303 0013 3d58"),  # TLS 1.3
    (None, "17 0303 0013 3d58"),
    ("postgres", "17 0303 0016 3d58"),  # Terminate
    ("mysql", "17 0303 001d 0000"),
]
OTHERS = [
    ("postgres", "5300000004"),  # Sync
    ("postgres", "5100000009 53454c45"),
    ("postgres", "58"),
    ("mysql", "010000000e"),  # COM_PING
    ("redis", b"*1\r\n$4\r\nPING\r\n".hex()),
    ("redis", b"*2\r\n$4\r\nQUIT\r\n".hex()),
    ("memcached", b"get quit\r\n".hex()),
    ("memcached", "8000" + 22 * "00"),
    ("memcached", "8007 0003 00000000 00000003"),  # with a key
    ("amqp", "01 0001 00000010 003c0028 0000"),  # Basic.Publish
    ("amqp", "08 0000 00000000 ce"),  # a heartbeat
    ("http2", "000008 06 00 00000000"),
    ("zookeeper", "00000008 fffffffe 0000000b"),  # a ping
    ("bolt", "0002 b00f 0000"),  # RESET
    ("bolt", "0003 b002 0000"),
    ("ldap", "300c 020101 6007 020103 0400 8000"),  # Bind
    ("ldap", "3006 020103 500102"),  # Abandon
    ("mongodb", "5d000000 67458b6b 00000000 dd070000 00000000 00 48000000 10" + b"endSessions".hex()),
    ("mongodb", "5d000000 67458b6b 00000000 dd070000"),  # any OP_MSG
    ("mqtt", "c000"),  # PINGREQ
    ("mqtt", "3007 0003 612f62 6869"),  # PUBLISH
    ("pulsar", "00000009 00000005 0812 920100"),  # PING
    ("nats", b"UNSUB 1\r\n".hex()),
    ("redis", "17 0303 0016 3d58"),  # a request of 5 bytes
    ("postgres", "17 0303 0017 3d58"),
    ("postgres", "16 0301 0013 0100"),  # a handshake
    ("kafka", "5800000004"),
    (None, "5800000004"),
    ("postgres", ""),
]


@pytest.mark.parametrize(("protocol", "head"), GOODBYES)
def test_goodbyes_are_recognised(protocol: str | None, head: str) -> None:
    assert is_goodbye(protocol, bytes.fromhex(head)[:SEEN_FIRST])


@pytest.mark.parametrize(("protocol", "head"), OTHERS)
def test_other_messages_are_no_goodbyes(protocol: str | None, head: str) -> None:
    assert not is_goodbye(protocol, bytes.fromhex(head)[:SEEN_FIRST])


@given(st.sampled_from([*MATCHERS, None]), st.binary(max_size=SEEN))
def test_any_bytes_are_accepted(protocol: str | None, head: bytes) -> None:
    assert kind_of(protocol, head) is None or not is_goodbye(protocol, head)
    for is_request in IS_REQUEST.values():
        is_request(head)
