"""Databases: Postgres, MySQL, MongoDB, Cassandra, ClickHouse, Neo4j (Bolt), SQL Server (TDS)."""

from __future__ import annotations

import re
from struct import Struct
from typing import Final

_POSTGRES_STARTUP: Final = re.compile(
    rb"\0\x03\0[\0-\x09](?:[A-Za-z_][A-Za-z_.]{3,}\0|[A-Za-z_][A-Za-z_.]*\Z)"
)  # version, parameter
_CQL_KEY: Final = re.compile(rb"\0[\x01-\x20]\0([\x03-\x20])([A-Z_]+)(?:\0|\Z)")  # entries, key's length, key
_BOLT_MAGIC: Final = b"\x60\x60\xb0\x17"
_TDS_PRELOGIN: Final = Struct(">BBHHBBBHH")
"""Type, status, length, SPID, packet, window; the first option's token, offset and length."""


def postgres(send: bytes) -> bool:
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


def mysql(send: bytes) -> bool:
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


def mongodb(send: bytes) -> bool:
    """A message header with OP_MSG or OP_QUERY that answers no request; little endian.

    Source: https://www.mongodb.com/docs/manual/reference/mongodb-wire-protocol/. Length, request id, the request
    that it answers, operation (4 bytes each); at most 48,000,000 bytes. Flags (4) follow, and a section with its size,
    or a name: not only zeros.
    """
    length, answers, operation = int.from_bytes(send[:4], "little"), send[8:12], send[12:16]
    if operation not in (b"\xdd\x07\0\0", b"\xd4\x07\0\0") or answers != bytes(4) or send[16:24] == bytes(8):
        return False
    return 21 <= length <= 48_000_000


def cassandra(send: bytes) -> bool:
    """A request frame of CQL 3, 4 or 5 with STARTUP or OPTIONS: a connection begins with one of them.

    DataStax's drivers first try DSE's own versions, 0x41 and 0x42, which have the same frame.

    Source: https://github.com/apache/cassandra/blob/trunk/doc/native_protocol_v5.spec, 2, 3 and 4.1. Version, flags
    (0x10: beta), stream (2), operation, body's length (4). OPTIONS has no body. STARTUP's is a map of strings: their
    number (2), and a key with its length (2) before each value. It always contains CQL_VERSION, and all keys are in
    upper case.
    """
    if len(send) < 9 or send[0] not in (3, 4, 5, 0x41, 0x42) or send[1] not in (0, 0x10):
        return False
    length = int.from_bytes(send[5:9], "big")
    if send[4] == 5:
        return length == 0 and len(send) == 9
    key = _CQL_KEY.match(send, 9)
    if key is None or send[4] != 1 or not 22 <= length <= 4096:
        return False
    return len(key[2]) == key[1][0] or (len(key[2]) < key[1][0] and key.end() == len(send))


def clickhouse(send: bytes) -> bool:
    """A Hello of the native protocol: packet 0, then the client's name, which begins with `ClickHouse`.

    Source: https://clickhouse.com/docs/native-protocol/client. Numbers are VarUInt, a string is its length and bytes.
    """
    return send[:1] == b"\0" and 10 <= int.from_bytes(send[1:2], "big") < 128 and send[2:12].lower() == b"clickhouse"


def bolt(send: bytes) -> bool:
    """A handshake: the magic number, then four proposals of a version, each beginning with a zero.

    Source: https://neo4j.com/docs/bolt/current/bolt/handshake/.
    """
    return send[:4] == _BOLT_MAGIC and len(send) in (4, 20) and not any(send[4::4])


def tds(send: bytes) -> bool:
    """A PRELOGIN packet of TDS 7 whose first option is VERSION, as is required.

    Source: [MS-TDS], 2.2.3.1 (packet header) and 2.2.6.5. Type 0x12, status 1 (the last packet), length (2, at most
    4,096), SPID (0 from clients), packet's number, window (0); then options of 5 bytes, a terminator and the values.
    VERSION has 6 bytes.
    """
    if len(send) < _TDS_PRELOGIN.size:
        return False
    kind, status, length, spid, _, window, token, offset, size = _TDS_PRELOGIN.unpack_from(send)
    return (
        (kind, status, spid, window, token, size) == (0x12, 1, 0, 0, 0, 6)
        and offset >= 6
        and offset % 5 == 1
        and offset + 14 <= length <= 4096
    )
