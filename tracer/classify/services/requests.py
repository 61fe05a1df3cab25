"""What a send asks for, by its first bytes: a request, housekeeping, or a goodbye (a connection's last message)."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from struct import Struct
from typing import Final

KAFKA_PRODUCE: Final = 0
KAFKA_API_VERSIONS: Final = 18

_KAFKA_HOUSEKEEPING: Final = frozenset(
    {
        1, 2, 3,  # Fetch, ListOffsets, Metadata
        8, 9, 10, 11, 12, 13, 14,  # OffsetCommit, OffsetFetch, FindCoordinator, JoinGroup to SyncGroup with Heartbeat
        17, KAFKA_API_VERSIONS, 36,  # SaslHandshake, ApiVersions, SaslAuthenticate
        22, 23,  # InitProducerId, OffsetForLeaderEpoch
        68, 71, 72,  # ConsumerGroupHeartbeat, GetTelemetrySubscriptions, PushTelemetry
    }
)  # fmt: skip
"""Housekeeping: clients send these on their own, from their own threads. All other kinds are requests."""
_KAFKA_HEAD: Final = Struct(">ihh")  # size, api key, api version
_KAFKA_LARGEST: Final = 100 * 1024 * 1024  # the broker's default `socket.request.max.bytes`
_KAFKA_LAST_KEY: Final = 99  # Kafka 4.1 has 0-92
_KAFKA_LAST_VERSION: Final = 20  # Kafka 4.1: at most 18 (Fetch)

_HTTP2_REQUESTS: Final = frozenset({0, 1, 9})  # DATA, HEADERS, CONTINUATION
"""Frames of requests. The others (SETTINGS, PING, WINDOW_UPDATE, …) are housekeeping of a client's own threads."""

_GOODBYES: Final[Mapping[str, re.Pattern[bytes]]] = {
    protocol: re.compile(pattern, re.DOTALL)
    for protocol, pattern in {
        # Close and CloseOk of a channel or connection. Source: AMQP 0-9-1, 4.2.3 (frame) and the methods' numbers.
        "amqp": rb"\x01.{6}(?:\0\x0a\0[\x32\x33]|\0\x14\0[\x28\x29])",
        # GOODBYE, which has no fields, in one chunk. Source: https://neo4j.com/docs/bolt/current/bolt/message/.
        "bolt": rb"\0\x02\xb0\x02\0\0\Z",
        # A GOAWAY frame. Source: RFC 9113, 6.8.
        "http2": rb"\0.{2}\x07",
        # UnbindRequest: an id of up to 4 bytes, an empty element 2. Source: RFC 4511, 4.1.1 and 4.3.
        "ldap": rb"\x30[\x05-\x08]\x02[\x01-\x04].{1,4}\x42\0\Z",
        # Source: https://github.com/memcached/memcached/wiki/BinaryProtocolRevamped: quit and quitq, 24 bytes.
        "memcached": rb"quit\r\n\Z|\x80[\x07\x17]\0\0\0\0\0\0\0\0\0\0",
        # endSessions: the first field of an OP_MSG's document, so in the first 32 bytes, not in 16. Source:
        # https://www.mongodb.com/docs/manual/reference/mongodb-wire-protocol/ and https://bsonspec.org/spec.html.
        "mongodb": rb".{8}\0{4}\xdd\x07\0\0.{4}\0.{4}\x04endSes",
        # DISCONNECT: without a reason, or with one and properties. Source: MQTT 5.0, 3.14; MQTT 3.1.1, 3.14.
        "mqtt": rb"\xe0(?:\0\Z|[\x01-\x7f].)",
        # COM_QUIT. Source: https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_com_quit.html.
        "mysql": rb"\x01\0\0\0\x01\Z",
        # Terminate. Source: https://www.postgresql.org/docs/current/protocol-message-formats.html.
        "postgres": rb"X\0\0\0\x04\Z",
        # CLOSE_PRODUCER and CLOSE_CONSUMER: field 1, type 15 or 16; that field. Source: PulsarApi.proto, BaseCommand.
        "pulsar": rb".{8}\x08(?:\x0f\x7a|\x10\x82\x01)",
        # Source: https://redis.io/docs/latest/commands/quit/.
        "redis": rb"\*1\r\n\$4\r\n(?i:quit)\r\n\Z",
        # Source: RFC 5321, 4.1.1.10.
        "smtp": rb"(?i:quit) *\r\n\Z",
        # closeSession: length 8, xid, type -11. Source: org.apache.zookeeper.ZooDefs.OpCode.
        "zookeeper": rb"\0\0\0\x08.{4}\xff\xff\xff\xf5\Z",
    }.items()
}
_TLS_ALERT: Final = 21
_TLS_DATA: Final = 23
_TLS_RECORD: Final = Struct(">BHH")  # type, version, length
TLS_ALERT_LENGTHS: Final = frozenset({18, 19, 26})
"""Lengths of an encrypted close_notify, 2 bytes: TLS 1.2 with ChaCha20, TLS 1.3 (one byte for the type), TLS 1.2 with
AES-GCM (an explicit nonce of 8 bytes), each with a tag of 16.

Source: RFC 8446, 5.2 and 6.1; RFC 5288, 3; RFC 7905, 2.
"""
_TLS_OVERHEADS: Final = frozenset({16, 17, 24})
_GOODBYE_LENGTHS: Final = {"ldap": 7, "memcached": 6, "mysql": 5, "postgres": 5, "smtp": 6}
"""Protocol → bytes of its goodbye, where no other message of a client that is sent alone has as many."""


def kafka_api_key(head: bytes) -> int | None:
    """The api key of a Kafka request, from a send's first 8 bytes; None: they cannot begin one.

    Source: https://kafka.apache.org/protocol.html, "Common Request and Response Structure" and "Request Header".
    """
    if len(head) < _KAFKA_HEAD.size:
        return None
    size, api_key, version = _KAFKA_HEAD.unpack_from(head)
    if not 8 <= size <= _KAFKA_LARGEST or not 0 <= version <= _KAFKA_LAST_VERSION:
        return None
    return api_key if 0 <= api_key <= _KAFKA_LAST_KEY else None


def is_kafka_request(head: bytes) -> bool:
    """Whether a send begins with a Kafka request that is not housekeeping, such as a Produce."""
    api_key = kafka_api_key(head)
    return api_key is not None and api_key not in _KAFKA_HOUSEKEEPING


def is_http2_request(head: bytes) -> bool:
    """Whether a send begins with an HTTP/2 frame of a request, such as gRPC sends.

    Source: RFC 9113, 4.1 and 6. Length (3 bytes), type, flags, stream (4).
    """
    return len(head) > 3 and head[3] in _HTTP2_REQUESTS


IS_REQUEST: Final[Mapping[str, Callable[[bytes], bool]]] = {"http2": is_http2_request, "kafka": is_kafka_request}
"""Protocol whose clients send from their own threads → whether a send with these first bytes is a request."""


def is_goodbye(protocol: str | None, head: bytes) -> bool:
    """Whether a send is a protocol's last message on a connection, by its first ≤ 16 bytes.

    Of a socket's first sends, ≤ 32 bytes are known. Over TLS, the length of the record decides: that of a close_notify,
    or that of the protocol's goodbye.
    """
    length = tls_record_length(head)
    if length is not None:
        of_protocol = _GOODBYE_LENGTHS.get(protocol or "", 0)
        is_data = head[0] == _TLS_DATA
        return length in TLS_ALERT_LENGTHS or (
            is_data and of_protocol > 0 and any(length == of_protocol + overhead for overhead in _TLS_OVERHEADS)
        )
    pattern = _GOODBYES.get(protocol or "")
    return pattern is not None and pattern.match(head) is not None


def tls_record_length(head: bytes) -> int | None:
    """The length of an alert or data record of TLS, without its 5 bytes of header; None: it is no such record.

    Source: RFC 8446, 5.1. Type, version 3.x (2), length (2).
    """
    if len(head) < _TLS_RECORD.size:
        return None
    kind, version, length = _TLS_RECORD.unpack_from(head)
    return length if kind in (_TLS_ALERT, _TLS_DATA) and version >> 8 == 3 else None
