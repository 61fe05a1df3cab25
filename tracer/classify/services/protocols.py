"""The protocol of a connection, by the first bytes that its client sent.

A matcher gets the first 32 bytes of one send, or fewer: if a send has several buffers, a backend may emit only the
first. It must not match another protocol: a wrong name is worse than no name. So a protocol without specific first
bytes has no matcher.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from struct import Struct
from typing import Final

from tracer.classify.services.requests import KAFKA_API_VERSIONS, kafka_api_key

_KAFKA_TAIL: Final = Struct(">ih")  # correlation id, client id's length
_POSTGRES_STARTUP: Final = re.compile(rb"\0\x03\0[\0-\x09][A-Za-z_][A-Za-z_.]*(?:\0|\Z)")  # version, parameter


def _kafka(send: bytes) -> bool:
    """A request header v1 or v2: a small correlation id, then a client id that is null or printable.

    Source: as for `kafka_api_key`. The correlation id counts a client's requests from 0 or 1, so that of a connection's
    first request is less than 2^24. PostgreSQL's protocol 3.0, which looks like Metadata in version 0, has a greater
    number there. An empty client id is accepted only for ApiVersions, the first request of clients since Kafka 0.10:
    other messages with zeros there belong to ZooKeeper or to unknown protocols.
    """
    api_key = kafka_api_key(send)
    if api_key is None or len(send) < 14:
        return False
    correlation, length = _KAFKA_TAIL.unpack_from(send, 8)
    if not 0 <= correlation < 1 << 24 or not -1 <= length <= 255 or (length == 0 and api_key != KAFKA_API_VERSIONS):
        return False
    client_id = send[14 : 14 + max(length, 0)]
    return int.from_bytes(send[:4], "big") >= 10 + max(length, 0) and all(0x20 <= byte < 0x7F for byte in client_id)


def _postgres(send: bytes) -> bool:
    """A StartupMessage of protocol 3.x, or an SSLRequest, GSSENCRequest or CancelRequest.

    Source: https://www.postgresql.org/docs/current/protocol-message-formats.html. A length in network order, then the
    version or a code; a StartupMessage goes on with the name of a parameter, most often `user`.
    """
    length, code = int.from_bytes(send[:4], "big"), send[4:8]
    if code in (b"\x04\xd2\x16\x2f", b"\x04\xd2\x16\x30"):  # SSLRequest, GSSENCRequest
        return length == 8
    if code == b"\x04\xd2\x16\x2e":  # CancelRequest: a key of 4 bytes, up to 256 from protocol 3.2 on
        return 16 <= length <= 268
    return length <= 10_000 and _POSTGRES_STARTUP.match(send, 4) is not None


def _mysql(send: bytes) -> bool:
    """The client's first packet, HandshakeResponse41 or SSLRequest: number 1, capabilities, 19 reserved zeros.

    Source: https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_connection_phase_packets.html. Length
    (3 bytes, little endian), number, capabilities (4), largest packet (4), character set (1), 23 reserved bytes, of
    which MariaDB uses the last 4. CLIENT_PROTOCOL_41 (0x200) is always set.
    """
    return (
        len(send) >= 32
        and send[3] == 1
        and int.from_bytes(send[:3], "little") >= 32
        and bool(send[5] & 0x02)
        and send[13:32] == bytes(19)
    )


def _mongodb(send: bytes) -> bool:
    """A message header with OP_MSG or OP_QUERY that answers no request; little endian.

    Source: https://www.mongodb.com/docs/manual/reference/mongodb-wire-protocol/. Length, request id, the request
    that it answers, operation (4 bytes each); at most 48,000,000 bytes.
    """
    length, answers, operation = int.from_bytes(send[:4], "little"), send[8:12], send[12:16]
    return operation in (b"\xdd\x07\0\0", b"\xd4\x07\0\0") and answers == bytes(4) and 21 <= length <= 48_000_000


def _memcached_binary(send: bytes) -> bool:
    """A request of memcached's binary protocol: magic 0x80, 24 bytes of header, vbucket 0.

    Source: https://github.com/memcached/memcached/wiki/BinaryProtocolRevamped. Magic, operation, key's length (2),
    extras' length (1), data type (1), vbucket (2), body's length (4): network order.
    """
    if len(send) < 24 or send[0] != 0x80:
        return False
    key, extras, body = int.from_bytes(send[2:4], "big"), send[4], int.from_bytes(send[8:12], "big")
    return send[1] <= 0x47 and send[5:8] == bytes(3) and key <= 250 and extras <= 24 and key + extras <= body < 1 << 30


def _cassandra(send: bytes) -> bool:
    """A request frame of CQL 3, 4 or 5 with STARTUP or OPTIONS: a connection begins with one of them.

    DataStax's drivers first try DSE's own versions, 0x41 and 0x42, which have the same frame.

    Source: https://github.com/apache/cassandra/blob/trunk/doc/native_protocol_v5.spec, 2 and 4.1. Version, flags
    (0x10: beta), stream (2), operation, body's length (4). OPTIONS has no body, STARTUP's is a map of strings.
    """
    if len(send) < 9 or send[0] not in (3, 4, 5, 0x41, 0x42) or send[1] not in (0, 0x10):
        return False
    body = int.from_bytes(send[5:9], "big")
    return (send[4] == 5 and body == 0) or (send[4] == 1 and 22 <= body <= 4096)


def _zookeeper(send: bytes) -> bool:
    """A ConnectRequest: 44 or 45 bytes (with the read-only flag), protocol 0, a timeout, a password of 16 bytes.

    Source: https://github.com/apache/zookeeper/blob/master/zookeeper-jute/src/main/resources/zookeeper.jute. Length,
    protocol (4), last zxid (8), timeout in ms (4), session (8), password with its length (4 + 16): network order.
    """
    return (
        send[:3] == bytes(3)
        and send[3:8] in (b"\x2c\0\0\0\0", b"\x2d\0\0\0\0")
        and 0 < int.from_bytes(send[16:20], "big") < 1 << 31
        and send[28:32] == b"\0\0\0\x10"
    )


def _clickhouse(send: bytes) -> bool:
    """A Hello of the native protocol: packet 0, then the client's name, which begins with `ClickHouse`.

    Source: https://clickhouse.com/docs/native-protocol/client. Numbers are VarUInt, a string is its length and bytes.
    """
    return send[:1] == b"\0" and 10 <= int.from_bytes(send[1:2], "big") < 128 and send[2:12].lower() == b"clickhouse"


def _tls(send: bytes) -> bool:
    """A handshake record with a ClientHello, TLS 1.0 to 1.3.

    Source: RFC 8446, 4 and 5.1. Type 22, version 3.x, length (2); message 1, length (3), version 3.x.
    """
    return (
        send[:2] == b"\x16\x03"
        and send[5:6] == b"\x01"
        and send[9:10] == b"\x03"
        and int.from_bytes(send[6:9], "big") >= 41  # version, random, and the shortest lists of choices
    )


def _pattern(pattern: bytes) -> Callable[[bytes], bool]:
    """A matcher for a protocol that begins with text."""
    match = re.compile(pattern, re.DOTALL).match
    return lambda send: match(send) is not None


# An array of bulk strings. Source: https://redis.io/docs/latest/develop/reference/protocol-spec/. Inline commands
# (`PING`) are left out: lines of any text protocol would match.
_redis: Final = _pattern(rb"\*[1-9][0-9]{0,6}\r\n\$[0-9]{1,9}\r\n")

# A request line with a target in origin, absolute, asterisk or authority form. Source: RFC 9112, 3; the methods of
# RFC 9110, 9, of RFC 5789 (PATCH) and of RFC 4918 (WebDAV).
_http: Final = _pattern(
    rb"(?:GET|HEAD|POST|PUT|DELETE|OPTIONS|TRACE|PATCH|PROPFIND|PROPPATCH|MKCOL|COPY|MOVE|LOCK|UNLOCK)"
    rb" (?:/|https?://)|OPTIONS \* HTTP/|CONNECT [\w.\[\]:-]"
)

# The connection preface; gRPC speaks it. Source: RFC 9113, 3.4.
_http2: Final = _pattern(rb"PRI \* HTTP/2\.0\r\n")

# The protocol header. Source: AMQP 0-9-1, 4.2.2; AMQP 1.0, 2.2, 5.2.1 (TLS) and 5.3.1 (SASL).
_amqp: Final = _pattern(rb"AMQP(?:\0\0\x09\x01|[\0\x02\x03]\x01\0\0)")

# A greeting of the client. Source: RFC 5321, 4.1.1.1; RFC 2033 (LHLO).
_smtp: Final = _pattern(rb"(?i:EHLO|HELO|LHLO) [\x21-\x7e]")

# CONNECT with JSON. Source: https://docs.nats.io/reference/reference-protocols/nats-protocol.
_nats: Final = _pattern(rb"(?i:CONNECT)[ \t]+\{")

# A command line that is complete, or as long as the recorded part of a send. Source:
# https://github.com/memcached/memcached/blob/master/doc/protocol.txt. Commands are in lower case; storing ones have
# flags, expiry and length in numbers.
_memcached_text: Final = _pattern(
    rb"(?:set|add|replace|append|prepend|cas) [!-~]+(?: -?[0-9]+){3,4}(?: noreply)? ?\r\n"
    rb"|(?:gets?|gats?|delete|incr|decr|touch|m[gsda]) [!-~]+(?: [!-~]+)* ?\r\n"
    rb"|(?:set|add|replace|append|prepend|cas|gets?|gats?|delete|incr|decr|touch|m[gsda]) [ -~]+\r?\Z(?<=.{32})"
    rb"|(?:version|stats|flush_all|mn)\r\n"
)


def _memcached(send: bytes) -> bool:
    return _memcached_text(send) or _memcached_binary(send)


MATCHERS: Final[Mapping[str, Callable[[bytes], bool]]] = {
    "amqp": _amqp,
    "cassandra": _cassandra,
    "clickhouse": _clickhouse,
    "http": _http,
    "http2": _http2,
    "kafka": _kafka,
    "memcached": _memcached,
    "mongodb": _mongodb,
    "mysql": _mysql,
    "nats": _nats,
    "postgres": _postgres,
    "redis": _redis,
    "smtp": _smtp,
    "tls": _tls,
    "zookeeper": _zookeeper,
}


def recognise(sends: Iterable[bytes]) -> str | None:
    """The protocol of a connection, one of `MATCHERS`; None: its first sends identify none.

    The first send that matches decides. So an SSLRequest is `postgres` although a ClientHello follows, and a protocol
    is found after an unknown greeting, such as a proxy's.

    Args:
        sends: the first bytes of each of the socket's first sends, in order.
    """
    return next((name for send in sends if (name := _of_send(send)) is not None), None)


@lru_cache(maxsize=4096)  # a client opens most of its connections with the same bytes
def _of_send(send: bytes) -> str | None:
    return next((name for name, matches in MATCHERS.items() if matches(send)), None)
