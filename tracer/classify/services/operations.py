"""The operation with which a send begins, by its first bytes: `FLUSHDB`, `SELECT`, `GET`, `Produce`."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from tracer.classify.services.protocols.web import http
from tracer.classify.services.requests import is_goodbye, kafka_api_key, kind_of, tls_record_length

LISTED: Final = 8
"""At most so many operations are listed of an evidence."""
NO_OPERATION: Final = ""
"""Stands for what opens, keeps or closes a connection."""
_FEWEST_LETTERS: Final = 3
"""A name of which fewer letters are visible is unknown."""

# Statements of PostgreSQL and MySQL. Source: https://www.postgresql.org/docs/current/sql-commands.html,
# https://dev.mysql.com/doc/refman/8.4/en/sql-statements.html.
_SQL: Final = (
    *("ABORT", "ALTER", "ANALYZE", "BEGIN", "BINLOG", "CACHE", "CALL", "CHANGE", "CHECK", "CHECKPOINT", "CHECKSUM"),
    *("CLONE", "CLOSE", "CLUSTER", "COMMENT", "COMMIT", "COPY", "CREATE", "DEALLOCATE", "DECLARE", "DELETE", "DESC"),
    *("DESCRIBE", "DISCARD", "DO", "DROP", "END", "EXECUTE", "EXPLAIN", "FETCH", "FLUSH", "GET", "GRANT", "HANDLER"),
    *("HELP", "IMPORT", "INSERT", "INSTALL", "KILL", "LISTEN", "LOAD", "LOCK", "MERGE", "MOVE", "NOTIFY", "OPTIMIZE"),
    *("PREPARE", "PURGE", "REASSIGN", "REFRESH", "REINDEX", "RELEASE", "RENAME", "REPAIR", "REPLACE", "RESET"),
    *("RESTART", "REVOKE", "ROLLBACK", "SAVEPOINT", "SECURITY", "SELECT", "SET", "SHOW", "SHUTDOWN", "START", "STOP"),
    *("TABLE", "TRUNCATE", "UNINSTALL", "UNLISTEN", "UNLOCK", "UPDATE", "USE", "VACUUM", "VALUES", "WITH", "XA"),
)
# Source: https://cassandra.apache.org/doc/latest/cassandra/developing/cql/index.html.
_CQL: Final = (
    *("ALTER", "APPLY", "BEGIN", "CREATE", "DELETE", "DESCRIBE", "DROP", "GRANT", "INSERT", "LIST", "REVOKE"),
    *("SELECT", "TRUNCATE", "UPDATE", "USE"),
)
_FIRST_WORD: Final = re.compile(rb"(?:[\s;(]|/\*(?!!).*?\*/|--[^\n]*\n)*([A-Za-z]+)(?![A-Za-z0-9_])", re.DOTALL)
"""Behind blanks and complete comments. MySQL executes what a comment with `!` contains."""

# Source: https://kafka.apache.org/protocol.html, "Api Keys", 4.1; without those that only brokers send.
_KAFKA: Final[Mapping[int, str]] = {
    **dict(enumerate(("Produce", "Fetch", "ListOffsets", "Metadata"))),
    **dict(enumerate(("OffsetCommit", "OffsetFetch", "FindCoordinator", "JoinGroup", "Heartbeat", "LeaveGroup"), 8)),
    **dict(enumerate(("SyncGroup", "DescribeGroups", "ListGroups"), 14)),
    **dict(enumerate(("CreateTopics", "DeleteTopics", "DeleteRecords", "InitProducerId", "OffsetForLeaderEpoch"), 19)),
    **dict(enumerate(("AddPartitionsToTxn", "AddOffsetsToTxn", "EndTxn"), 24)),
    **dict(enumerate(("TxnOffsetCommit", "DescribeAcls", "CreateAcls", "DeleteAcls", "DescribeConfigs"), 28)),
    **dict(enumerate(("AlterConfigs", "AlterReplicaLogDirs", "DescribeLogDirs"), 33)),
    **dict(enumerate(("CreatePartitions", "CreateDelegationToken", "RenewDelegationToken"), 37)),
    **dict(enumerate(("ExpireDelegationToken", "DescribeDelegationToken", "DeleteGroups", "ElectLeaders"), 40)),
    **dict(enumerate(("IncrementalAlterConfigs", "AlterPartitionReassignments", "ListPartitionReassignments"), 44)),
    **dict(enumerate(("OffsetDelete", "DescribeClientQuotas", "AlterClientQuotas"), 47)),
    **dict(enumerate(("DescribeUserScramCredentials", "AlterUserScramCredentials"), 50)),
    **{55: "DescribeQuorum", 57: "UpdateFeatures", 60: "DescribeCluster", 61: "DescribeProducers"},
    **{64: "UnregisterBroker", 65: "DescribeTransactions", 66: "ListTransactions"},
    **{68: "ConsumerGroupHeartbeat", 69: "ConsumerGroupDescribe", 74: "ListConfigResources"},
    **dict(enumerate(("DescribeTopicPartitions", "ShareGroupHeartbeat", "ShareGroupDescribe", "ShareFetch"), 75)),
    **{79: "ShareAcknowledge", 80: "AddRaftVoter", 81: "RemoveRaftVoter", 88: "StreamsGroupHeartbeat"},
    **dict(enumerate(("StreamsGroupDescribe", "DescribeShareGroupOffsets", "AlterShareGroupOffsets"), 89)),
    92: "DeleteShareGroupOffsets",
}
_KAFKA_CONNECTION: Final = frozenset({17, 18, 36, 71, 72})  # SaslHandshake, ApiVersions, SaslAuthenticate, telemetry

# Class and method. Source: AMQP 0-9-1, 1.3 and the XML specification; https://www.rabbitmq.com/docs/specification.
_AMQP: Final[Mapping[tuple[int, int], str]] = {
    **{(40, 10): "exchange.declare", (40, 20): "exchange.delete"},
    **{(40, 30): "exchange.bind", (40, 40): "exchange.unbind"},
    **{(50, 10): "queue.declare", (50, 20): "queue.bind", (50, 30): "queue.purge", (50, 40): "queue.delete"},
    **{(50, 50): "queue.unbind", (60, 10): "basic.qos", (60, 20): "basic.consume", (60, 30): "basic.cancel"},
    **{(60, 40): "basic.publish", (60, 70): "basic.get", (60, 100): "basic.recover-async", (60, 110): "basic.recover"},
    **{(85, 10): "confirm.select", (90, 10): "tx.select", (90, 20): "tx.commit", (90, 30): "tx.rollback"},
}
_AMQP_METHOD: Final = re.compile(rb"\x01.{6}\0(.)\0(.)", re.DOTALL)

_CQL_FRAME: Final = re.compile(rb"(?:.{6}\x05|[\x03-\x05\x41\x42])([\0-\x1f]).{2}([\x07\x09\x0a\x0d]).{4}", re.DOTALL)
_CQL_OPCODES: Final = {0x07: "QUERY", 0x09: "PREPARE", 0x0A: "EXECUTE", 0x0D: "BATCH"}
_CQL_NOT_PLAIN: Final = 0x05  # flags: compressed; with a payload before the text

_MEMCACHED: Final = re.compile(
    rb"(set|add|replace|append|prepend|cas|gets?|gats?|delete|incr|decr|touch|m[gsdan]|version|stats|flush_all)[ \r]"
)
_MEMCACHED_BINARY: Final = (
    *("get", "set", "add", "replace", "delete", "incr", "decr", NO_OPERATION, "flush_all", "get", NO_OPERATION),
    *("version", "get", "get", "append", "prepend", "stats", "set", "add", "replace", "delete", "incr", "decr"),
    *(NO_OPERATION, "flush_all", "append", "prepend", "verbosity", "touch", "gat", "gat", None),
    *(NO_OPERATION, NO_OPERATION, NO_OPERATION, "gat", "gat"),
)
"""By opcode, as the text protocol names them. NO_OPERATION: quit, noop, SASL."""

_MONGODB: Final = re.compile(rb".{12}\xdd\x07\0\0.{4}\0.{4}[\x01-\x13]([a-z][A-Za-z]*)(\0|\Z)", re.DOTALL)
_MONGODB_CONNECTION: Final = ("hello", "isMast", "ismast", "saslSt", "saslCo")
_MONGODB_QUERY: Final = b"\xd4\x07\0\0"  # OP_QUERY: servers since 5.1 accept only hello in it

_MQTT: Final = re.compile(rb"(?:([\x30-\x35\x38-\x3d])|(\x82)|\xa2)[\x80-\xff]{0,3}[\0-\x7f]")

_MYSQL_PLAIN: Final = {0x02: "USE", 0x0E: NO_OPERATION, 0x17: "EXECUTE", 0x19: NO_OPERATION, 0x1F: NO_OPERATION}
"""COM_INIT_DB, COM_PING, COM_STMT_EXECUTE, COM_STMT_CLOSE, COM_RESET_CONNECTION."""
_MYSQL_TEXT: Final = (0x03, 0x16)  # COM_QUERY, COM_STMT_PREPARE
_MYSQL_NO_ATTRIBUTES: Final = b"\0\x01"  # CLIENT_QUERY_ATTRIBUTES: number of parameters, and of their sets

_NATS: Final = re.compile(rb"(H?PUB|(?:UN)?SUB)[ \t]", re.IGNORECASE)
_REDIS: Final = re.compile(rb"\*[0-9]{1,7}\r\n\$([0-9]{1,3})\r\n([A-Za-z][A-Za-z0-9_.-]*)(\r|\Z)")


def operation_of(protocol: str | None, head: bytes) -> str | None:
    """The operation with which a send begins, by its first ≤ 32 bytes.

    A name that the bytes do not show to its end is completed if only one statement of the language begins so. Other
    names are cut, and end with `…`.

    Returns:
        The name as the protocol's documentation spells it; `NO_OPERATION`; None: the bytes do not show it.
    """
    find = _FINDERS.get(protocol or "")
    if find is None:
        return None
    if is_goodbye(protocol, head):
        return NO_OPERATION
    if tls_record_length(head) is not None:
        return None
    if protocol != "kafka" and kind_of(protocol, head) == "housekeeping":
        return NO_OPERATION
    return find(head)


def list_operations(counts: Mapping[str, int], sends: int) -> tuple[tuple[str, ...], int]:
    """The operations of an evidence, and how many of its sends may be others.

    Args:
        counts: operation, or NO_OPERATION → sends that begin with it.
        sends: all sends.

    Returns:
        The `LISTED` operations with the most sends, sorted by name; and the number of sends that neither begin with one
        of them nor only open, keep or close a connection, as far as it is known. It is 0 without operations.
    """
    names = sorted(filter(None, counts))
    if not names:
        return (), 0
    if len(names) > LISTED:
        names = sorted(sorted(names, key=lambda name: -counts[name])[:LISTED])
    others = sends - counts.get(NO_OPERATION, 0) - sum(counts[name] for name in names)
    return tuple(names), max(0, others)


def _amqp(head: bytes) -> str | None:
    """Source: AMQP 0-9-1, 4.2.3. Type, channel (2), size (4), class (2), method (2). Contents follow a publish."""
    if head[:1] in (b"\x02", b"\x03") and head[3:4] == b"\0":  # a size of less than 16 MiB
        return "basic.publish"
    method = _AMQP_METHOD.match(head)
    return _AMQP.get((method[1][0], method[2][0])) if method else None


def _cassandra(head: bytes) -> str | None:
    """Source: as for `kind_of`, and 4.1.4: QUERY's body begins with a text and its length (4)."""
    frame = _CQL_FRAME.match(head)
    if frame is None:
        return None
    name = _CQL_OPCODES[frame[2][0]]
    if name != "QUERY" or frame[1][0] & _CQL_NOT_PLAIN:
        return name
    length = int.from_bytes(head[frame.end() : frame.end() + 4], "big")
    return _statement(head[frame.end() + 4 :], length, _CQL) or name


def _http(head: bytes) -> str | None:
    return head.partition(b" ")[0].decode() if http(head) else None


def _kafka(head: bytes) -> str | None:
    key = kafka_api_key(head)
    if key is None:
        return None
    return NO_OPERATION if key in _KAFKA_CONNECTION else _KAFKA.get(key)


def _memcached(head: bytes) -> str | None:
    """Source: as for protocols/caches.py."""
    if head[:1] == b"\x80" and len(head) >= 8 and head[5:8] == bytes(3):
        return _MEMCACHED_BINARY[head[1]] if head[1] < len(_MEMCACHED_BINARY) else None
    command = _MEMCACHED.match(head)
    return command[1].decode() if command else None


def _mongodb(head: bytes) -> str | None:
    """The name of the first field in an OP_MSG's document. Source: as for protocols/databases.py; bsonspec.org."""
    if head[12:16] == _MONGODB_QUERY:
        return NO_OPERATION
    command = _MONGODB.match(head)
    if command is None:
        return None
    name = command[1].decode()
    return NO_OPERATION if name in _MONGODB_CONNECTION else name if command[2] else _cut(name)


def _mqtt(head: bytes) -> str | None:
    """Source: MQTT 5.0, 2.1.1 to 2.1.4. Type and flags, then a length of 1 to 4 bytes. The QoS is at most 2."""
    packet = _MQTT.match(head)
    return packet and ("PUBLISH" if packet[1] else "SUBSCRIBE" if packet[2] else "UNSUBSCRIBE")


def _mysql(head: bytes) -> str | None:
    """Source: https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_command_phase.html.

    Length (3, little endian), number, command. Packets with another number than 0 belong to the login or to data.
    """
    if len(head) < 5:
        return None
    if head[3] != 0:
        return NO_OPERATION
    if head[4] not in _MYSQL_TEXT:
        return _MYSQL_PLAIN.get(head[4])
    length, start = int.from_bytes(head[:3], "little") - 1, 5
    if head[4] == _MYSQL_TEXT[0] and head[5:7] == _MYSQL_NO_ATTRIBUTES:
        length, start = length - 2, start + 2
    return _statement(head[start:], length)


def _nats(head: bytes) -> str | None:
    """Source: as for `kind_of`."""
    verb = _NATS.match(head)
    return verb[1].decode().upper() if verb else None


def _postgres(head: bytes) -> str | None:
    """Source: as for `kind_of`. Query: a text. Parse: a name, which ends with a zero, and a text. Bind executes."""
    kind, length = head[:1], int.from_bytes(head[1:5], "big") - 4
    if len(head) < 5 or head[1]:
        return None
    if kind == b"Q":
        return _statement(head[5:], length)
    if kind == b"P":
        name, zero, text = head[5:].partition(b"\0")
        return _statement(text, length - len(name) - 1) if zero else None
    return {b"B": "EXECUTE", b"c": "COPY", b"d": "COPY", b"f": "COPY"}.get(kind)


def _redis(head: bytes) -> str | None:
    """Source: https://redis.io/docs/latest/develop/reference/protocol-spec/. An array that begins with the command."""
    command = _REDIS.match(head)
    if command is None:
        return None
    length, name = int(command[1]), command[2].decode().upper()
    if len(name) == length:
        return name
    return _cut(name) if len(name) < length and not command[3] else None


def _statement(text: bytes, length: int, statements: Sequence[str] = _SQL) -> str | None:
    """The first word of SQL or CQL.

    Args:
        text: as much as is visible.
        length: of the whole text; negative: there is none.
        statements: all first words of the language.
    """
    text = text[: max(0, length)]
    word = _FIRST_WORD.match(text)
    if word is None:
        return None
    name = word[1].decode().upper()
    if word.end() < len(text) or len(text) == length:
        return name if name in statements else None
    found = [one for one in statements if one.startswith(name)] if len(name) >= _FEWEST_LETTERS else []
    return found[0] if len(found) == 1 else None


def _cut(name: str) -> str | None:
    return f"{name}…" if len(name) >= _FEWEST_LETTERS else None


_FINDERS: Final[Mapping[str, Callable[[bytes], str | None]]] = {
    "amqp": _amqp,
    "cassandra": _cassandra,
    "http": _http,
    "kafka": _kafka,
    "memcached": _memcached,
    "mongodb": _mongodb,
    "mqtt": _mqtt,
    "mysql": _mysql,
    "nats": _nats,
    "postgres": _postgres,
    "redis": _redis,
}
