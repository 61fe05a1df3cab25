"""What a send asks for, by its first bytes: a request, housekeeping, or a goodbye (a connection's last message)."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from struct import Struct
from typing import Final, Literal

Kind = Literal["request", "housekeeping"]

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

_KINDS: Final[Mapping[str, re.Pattern[bytes]]] = {
    protocol: re.compile(pattern, re.DOTALL)
    for protocol, pattern in {
        # Housekeeping: the header, heartbeats, methods of connections (10) and channels (20), Basic.Ack, .Reject and
        # .Nack (60: 80, 90, 120). Requests: other methods, and contents of messages. Source: AMQP 0-9-1, 4.2.3 and the
        # classes' numbers; https://www.rabbitmq.com/docs/specification (Confirm, 85; Nack).
        "amqp": rb"(?P<housekeeping>AMQP|\x08\0\0\0\0\0\0|\x01.{6}\0(?:[\x0a\x14]|\x3c\0[\x50\x5a\x78]))"
        rb"|(?P<request>\x01.{6}\0[\x28\x32\x3c\x55\x5a]|[\x02\x03])",
        # Requests: QUERY, PREPARE, EXECUTE, BATCH. Housekeeping: STARTUP, CREDENTIALS, OPTIONS, REGISTER,
        # AUTH_RESPONSE. From version 5 on, 6 bytes of a frame's header are before them. Source:
        # https://github.com/apache/cassandra/blob/trunk/doc/native_protocol_v5.spec, 2.3 and 4.1.
        "cassandra": rb"(?:.{6}\x05|[\x03-\x05\x41\x42])[\0-\x1f].{2}"
        rb"(?:(?P<request>[\x07\x09\x0a\x0d])|(?P<housekeeping>[\x01\x04\x05\x0b\x0f]))",
        # Length (3), type. Requests: DATA, HEADERS, CONTINUATION. Housekeeping: PRIORITY to PING, WINDOW_UPDATE, and
        # frames of extensions. Source: RFC 9113, 4.1 and 6.
        "http2": rb".{3}(?:(?P<request>[\0\x01\x09])|(?P<housekeeping>[\x02-\x06\x08\x0a-\x10]))",
        # Requests: PUBLISH, SUBSCRIBE, UNSUBSCRIBE. Housekeeping: CONNECT, acknowledgements, PINGREQ, AUTH.
        # Source: MQTT 5.0, 2.1.2 and 2.1.3.
        "mqtt": rb"(?P<request>[\x30-\x3f\x82\xa2])|(?P<housekeeping>[\x10\x40\x50\x62\x70\xf0]|\xc0\0)",
        # Source: https://docs.nats.io/reference/reference-protocols/nats-protocol.
        "nats": rb"(?i:(?P<request>H?PUB|(?:UN)?SUB)[ \t]|(?P<housekeeping>PING|PONG|CONNECT)[ \t\r])",
        # Housekeeping: a standby's status and feedback in CopyData of their lengths, the connection's start,
        # authentication. Requests: queries in both protocols, function calls, COPY's data. Source:
        # https://www.postgresql.org/docs/current/protocol-message-formats.html and …/protocol-replication.html.
        "postgres": rb"(?P<housekeeping>d\0\0\0(?:\x26r|\x1dh)|p\0|\0\0.{2}(?:\0\x03\0|\x04\xd2\x16))"
        rb"|(?P<request>[BCDEFPQcdf]\0)",
        # Housekeeping: what clients send when they connect or look for a cluster's nodes. PING is a request: programs
        # ask for it. Source: https://redis.io/docs/latest/commands/.
        "redis": rb"\*[0-9]{1,4}\r\n\$(?:(?i:(?P<housekeeping>4\r\nAUTH|5\r\nHELLO|6\r\n(?:CLIENT|SELECT)"
        rb"|7\r\n(?:CLUSTER|COMMAND)|8\r\nREADONLY))|(?P<request>[0-9]+\r\n[A-Za-z]))",
        # Length, xid, type. Housekeeping: xids below 0 (-2 ping, -4 auth, -8 setWatches), and ConnectRequest, which has
        # zeros there. Requests: the types of ZooDefs.OpCode. Source:
        # https://github.com/apache/zookeeper/blob/master/zookeeper-server/src/main/java/org/apache/zookeeper/ZooDefs.java
        # and ClientCnxn.java there.
        "zookeeper": rb".{4}(?:(?P<housekeeping>\xff{3}[\xf0-\xff]|\0{4})"
        rb"|[\0-\x7f].{3}\0{3}(?P<request>[\x01-\x0a\x0c-\x18\x65-\x6b]))",
    }.items()
}
"""Protocol → what begins a request, and what begins housekeeping. All else counts as unknown."""

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
    """Whether a send begins with an HTTP/2 frame of a request, such as gRPC sends."""
    return kind_of("http2", head) == "request"


IS_REQUEST: Final[Mapping[str, Callable[[bytes], bool]]] = {"http2": is_http2_request, "kafka": is_kafka_request}
"""Protocol whose clients send from their own threads → whether a send with these first bytes is a request."""


OWN_THREADS: Final = frozenset({"cassandra", "mqtt", "zookeeper"})
"""Protocols whose clients send requests from threads of their own, and always for the program."""


def kind_of(protocol: str | None, head: bytes) -> Kind | None:
    """Whether a send is a request or housekeeping, by its first ≤ 16 bytes; None: unknown, or a goodbye.

    Housekeeping is what a client sends on its own: heartbeats, acknowledgements, what belongs to connecting. The first
    message of a send decides.
    """
    if protocol == "kafka":
        return None if kafka_api_key(head) is None else "request" if is_kafka_request(head) else "housekeeping"
    pattern = _KINDS.get(protocol or "")
    match = pattern.match(head) if pattern and not is_goodbye(protocol, head) else None
    return None if match is None else "request" if match["request"] is not None else "housekeeping"


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
