"""Messages: Kafka, AMQP, NATS, MQTT, Pulsar, ZMTP."""

from __future__ import annotations

from struct import Struct
from typing import Final

from tracer.classify.services.protocols.pattern import pattern
from tracer.classify.services.requests import KAFKA_API_VERSIONS, kafka_api_key

_KAFKA_TAIL: Final = Struct(">ih")  # correlation id, client id's length
_MQTT_LEVELS: Final = {b"\0\x04MQTT": (4, 5, 0x84), b"\0\x06MQIsdp": (3, 0x83)}
"""Protocol's name with its length → levels: of 3.1.1 and 5.0, of 3.1. With the highest bit, mosquitto connects as a
bridge (its `try_private`)."""
_ZMTP_VERSIONS: Final = (1, 3)  # "revision 1" is ZMTP 2.0

# The protocol header. Source: AMQP 0-9-1, 4.2.2; AMQP 1.0, 2.2, 5.2.1 (TLS) and 5.3.1 (SASL).
amqp: Final = pattern(rb"AMQP(?:\0\0\x09\x01|[\0\x02\x03]\x01\0\0)")

# CONNECT with JSON. Source: https://docs.nats.io/reference/reference-protocols/nats-protocol.
nats: Final = pattern(rb"(?i:CONNECT)[ \t]+\{")


def kafka(send: bytes) -> bool:
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


def mqtt(send: bytes) -> bool:
    """A CONNECT packet of MQTT 3.1, 3.1.1 or 5.0.

    Source: MQTT 5.0 and 3.1.1, 2.1 and 3.1.2; MQTT V3.1 Protocol Specification, 3.1. Type 1 without flags, remaining
    length, the protocol's name, its level, flags, keep-alive (2), and at least the client id's length (2). The lowest
    flag is reserved, and the will's QoS is at most 2.
    """
    length, name = _varint(send, 1)
    for expected, levels in _MQTT_LEVELS.items():
        level, flags = send[name + len(expected) : name + len(expected) + 2].ljust(2, b"\xff")
        if send[name:].startswith(expected):
            fits = length >= len(expected) + 6 and not flags & 0x01 and flags & 0x18 != 0x18
            return send[0] == 0x10 and level in levels and fits
    return False


def pulsar(send: bytes) -> bool:
    """A frame with the command CONNECT, whose first field is the client's version.

    Source: https://pulsar.apache.org/docs/next/developing-binary-protocol/ and PulsarApi.proto. Total size (4), size of
    the command (4, network order), and the command in protobuf: field 1, type 2 (CONNECT); field 2, a message, which
    fills the command, and begins with field 1, a text.
    """
    total, size = int.from_bytes(send[:4], "big"), int.from_bytes(send[4:8], "big")
    length, connect = _varint(send, 11)
    version = send[connect + 2 : connect + 3]
    return (
        total == size + 4
        and send[8:11] == b"\x08\x02\x12"
        and size == connect - 8 + length
        and send[connect : connect + 1] == b"\x0a"
        and version.isalnum()
    )


def zmtp(send: bytes) -> bool:
    """A greeting of ZMTP 2.0 or 3.x, or its signature alone: libzmq sends the rest after the peer's signature.

    Source: https://rfc.zeromq.org/spec/23/ and https://rfc.zeromq.org/spec/15/. 0xFF, 8 bytes of padding, in which
    libzmq writes a length of at most 256 for peers with ZMTP 1.0, 0x7F; then the version, and from 3.0 on the minor
    version and the mechanism's name.
    """
    padding, version = int.from_bytes(send[1:9], "big"), send[10:11]
    return (
        send[:1] == b"\xff"
        and send[9:10] == b"\x7f"
        and padding <= 256
        and (not version or version[0] in _ZMTP_VERSIONS)
    )


def _varint(send: bytes, start: int) -> tuple[int, int]:
    """A number of 7 bits in each byte, the lowest first, and where it ends; at most 4 bytes are read."""
    value = 0
    for position, byte in enumerate(send[start : start + 4]):
        value |= (byte & 0x7F) << 7 * position
        if byte < 0x80:
            return value, start + position + 1
    return value, len(send)
