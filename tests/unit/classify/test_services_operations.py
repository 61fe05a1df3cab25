"""The operations that the first bytes of sends show. Expected names follow from the sources in operations.py."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from struct import pack

import pytest
from hypothesis import given
from hypothesis import strategies as st
from trace_builder import TraceBuilder

from tracer.classify.classification import classify
from tracer.classify.model import Evidence
from tracer.classify.services.config import load_config
from tracer.classify.services.operations import LISTED, NO_OPERATION, list_operations, operation_of
from tracer.classify.services.protocols import MATCHERS

SEEN_FIRST = 32
SEEN = 16
REDIS = "tcp://127.0.0.1:6379"


def resp(*words: str) -> bytes:
    return f"*{len(words)}\r\n".encode() + b"".join(f"${len(word)}\r\n{word}\r\n".encode() for word in words)


def query(sql: str) -> bytes:
    return b"Q" + pack(">i", len(sql) + 5) + sql.encode() + b"\0"


def parse(name: str, sql: str) -> bytes:
    body = name.encode() + b"\0" + sql.encode() + b"\0\0\0"
    return b"P" + pack(">i", len(body) + 4) + body + b"B\0\0\0\x0c\0\0\0\0\0\0\0\0"


def com(command: int, text: bytes, number: int = 0) -> bytes:
    return pack("<I", len(text) + 1)[:3] + bytes([number, command]) + text


def cql(opcode: int, text: str = "", *, version: int = 4, flags: int = 0) -> bytes:
    body = pack(">i", len(text)) + text.encode() + b"\0\x01\0"
    return bytes([version, flags, 0, 1, opcode]) + pack(">i", len(body)) + body


def amqp(class_: int, method: int) -> bytes:
    return b"\x01\0\x01" + pack(">ihh", 20, class_, method) + bytes(16)


def op_msg(name: bytes) -> bytes:
    document = b"\x02" + name + b"\0\x05\0\0\0item\0"
    return pack("<iiii", 100, 1, 0, 2013) + bytes(5) + pack("<i", 79) + document


def memcached(opcode: int, key: bytes = b"") -> bytes:
    return b"\x80" + bytes([opcode]) + pack(">HBBHI", len(key), 0, 0, 0, len(key)) + bytes(12) + key


def kafka(key: int) -> bytes:
    return pack(">ihhih", 40, key, 3, 1, 7) + b"rdkafka"


SHOWN = [  # by 16 bytes
    ("redis", resp("GET", "key"), "GET"),
    ("redis", resp("flushdb"), "FLUSHDB"),
    ("redis", resp("SMEMBERS", "key"), "SMEMBERS"),
    ("redis", resp("JSON.SET", "key", "$", "1"), "JSON.SET"),
    ("redis", resp("ZRANGEBYSCORE", "key", "0", "1"), "ZRANGEB…"),
    ("redis", resp("HELLO", "3"), NO_OPERATION),
    ("redis", resp("QUIT"), NO_OPERATION),
    ("redis", b"*1\r\n$10\r\nPING\r\n", None),  # the length is wrong
    ("redis", b"*1\r\n$1000\r\nPI", None),
    ("redis", b"\x17\x03\x03\0\x2a" + bytes(11), None),
    ("postgres", query("SELECT 1"), "SELECT"),
    ("postgres", query("\n  insert into t values (1)"), "INSERT"),
    ("postgres", query("(SELECT 1) UNION SELECT 2"), "SELECT"),
    ("postgres", query("/* a */ DELETE FROM t"), "DELETE"),
    ("postgres", query("/* in function save */ DELETE FROM t"), None),
    ("postgres", query("-- x\nUPDATE t SET a = 1"), "UPDATE"),
    ("postgres", query("DEALLOCATE ALL"), "DEALLOCATE"),
    ("postgres", query("COMMIT"), "COMMIT"),
    ("postgres", query("hunter2 x"), None),  # no statement
    ("postgres", query("secret"), None),
    ("postgres", query(""), None),
    ("postgres", parse("", "INSERT INTO t VALUES ($1)"), "INSERT"),
    ("postgres", parse("", "DEALLOCATE x"), "DEALLOCATE"),  # ten letters are visible: no other statement begins so
    ("postgres", parse("_pg3_0", "SELECT $1"), "SELECT"),  # four letters
    ("postgres", parse("_pg3_0", "DROP TABLE t"), "DROP"),
    ("postgres", parse("_pg3_0", "COMMENT ON TABLE t"), None),  # COMM: or COMMIT
    ("postgres", parse("__asyncpg_stmt_1__", "SELECT $1"), None),
    ("postgres", b"B\0\0\0\x20\0_pg3_0\0\0\0\0", "EXECUTE"),
    ("postgres", b"d\0\0\0\x261\ta\n", "COPY"),
    ("postgres", b"X\0\0\0\x04", NO_OPERATION),
    ("postgres", b"\0\0\0\x08\x04\xd2\x16\x2f", NO_OPERATION),  # SSLRequest
    ("postgres", b"S\0\0\0\x04", None),
    ("mysql", com(3, b"SELECT 1"), "SELECT"),
    ("mysql", com(3, b"COMMIT"), "COMMIT"),
    ("mysql", com(3, b"\0\x01SET NAMES utf8mb4"), "SET"),
    ("mysql", com(3, b"/*!40101 SET x*/ SELECT 1"), None),
    ("mysql", com(0x16, b"REPLACE INTO t VALUES (?)"), "REPLACE"),
    ("mysql", com(0x17, bytes(9)), "EXECUTE"),
    ("mysql", com(2, b"shop"), "USE"),
    ("mysql", com(0x0E, b""), NO_OPERATION),
    ("mysql", com(0x85, bytes(31), number=1), NO_OPERATION),  # the login
    ("mysql", com(1, b""), NO_OPERATION),
    ("http", b"GET /orders?page=1 HTTP/1.1\r\n", "GET"),
    ("http", b"PROPFIND /files/ HTTP/1.1\r\n", "PROPFIND"),
    ("http", b'{"query": "x"}', None),
    ("kafka", kafka(0), "Produce"),
    ("kafka", kafka(1), "Fetch"),
    ("kafka", kafka(3), "Metadata"),
    ("kafka", kafka(8), "OffsetCommit"),
    ("kafka", kafka(14), "SyncGroup"),
    ("kafka", kafka(19), "CreateTopics"),
    ("kafka", kafka(26), "EndTxn"),
    ("kafka", kafka(32), "DescribeConfigs"),
    ("kafka", kafka(60), "DescribeCluster"),
    ("kafka", kafka(92), "DeleteShareGroupOffsets"),
    ("kafka", kafka(18), NO_OPERATION),
    ("kafka", kafka(4), None),  # LeaderAndIsr: only brokers send it
    ("cassandra", cql(0x07, "SELECT * FROM t"), "SELECT"),  # three letters are visible
    ("cassandra", cql(0x07, "CREATE TABLE t"), "CREATE"),
    ("cassandra", cql(0x07, "DROP TABLE t"), "DROP"),
    ("cassandra", cql(0x07, "INSERT INTO t"), "INSERT"),
    ("cassandra", cql(0x07, "WITH t"), "QUERY"),  # no statement of CQL
    ("cassandra", cql(0x07, "SELECT * FROM t", flags=1), "QUERY"),  # compressed
    ("cassandra", cql(0x09, "SELECT * FROM t"), "PREPARE"),
    ("cassandra", cql(0x0A), "EXECUTE"),
    ("cassandra", cql(0x0D), "BATCH"),
    ("cassandra", cql(0x01), NO_OPERATION),
    ("cassandra", b"\x30\0\x02\xaa\xbb\xcc" + cql(0x07, "SELECT * FROM t", version=5), "QUERY"),
    ("memcached", b"get key\r\n", "get"),
    ("memcached", b"set key 0 0 5\r\nhello\r\n", "set"),
    ("memcached", b"flush_all\r\n", "flush_all"),
    ("memcached", memcached(0x00, b"key"), "get"),
    ("memcached", memcached(0x11, b"key"), "set"),
    ("memcached", memcached(0x1C, b"key"), "touch"),
    ("memcached", memcached(0x20), NO_OPERATION),
    ("memcached", memcached(0x24, b"key"), "gat"),
    ("memcached", memcached(0x99), None),
    ("memcached", b"quit\r\n", NO_OPERATION),
    ("memcached", b"hello\r\n", None),
    ("mongodb", op_msg(b"find"), None),  # behind the 16 bytes
    ("amqp", amqp(60, 40), "basic.publish"),
    ("amqp", amqp(50, 10), "queue.declare"),
    ("amqp", amqp(90, 20), "tx.commit"),
    ("amqp", amqp(60, 80), NO_OPERATION),  # Basic.Ack
    ("amqp", amqp(20, 10), NO_OPERATION),
    ("amqp", amqp(99, 10), None),
    ("amqp", b"\x03\0\x01\0\0\0\x05hello\xce", "basic.publish"),
    ("nats", b"PUB orders 5\r\nhello\r\n", "PUB"),
    ("nats", b"sub orders 1\r\n", "SUB"),
    ("nats", b"PING\r\n", NO_OPERATION),
    ("mqtt", b"\x32\x0a\0\x03a/b", "PUBLISH"),
    ("mqtt", b"\x82\x08\0\x01\0\x03a/b\0", "SUBSCRIBE"),
    ("mqtt", b"\xa2\x07\0\x01\0\x03a/b", "UNSUBSCRIBE"),
    ("mqtt", b"\x10\x0c\0\x04MQTT\x04\x02", NO_OPERATION),
    ("mqtt", b"\x30\xff\xff\x03\0\x03a/b" + bytes(7), "PUBLISH"),
    ("mqtt", b"\x36\x0a\0\x03a/b", None),  # a QoS of 3
    ("mqtt", b"\x30\xff\xff\xff\xff\x03", None),  # a length of 5 bytes
    ("mqtt", b"", None),
    ("http2", b"\0\0\x08\x01\x04\0\0\0\x01", None),
    (None, resp("GET", "key"), None),
]
RECORDED = [  # as the clients in brackets sent them; by 16 bytes
    ("cassandra", "0400000107000000230000001c494e5345525420494e544f2074202861292056", "INSERT"),  # scylla-driver 3.29
    ("cassandra", "04000001090000001d0000001953454c454354202a2046524f4d207420574845", "PREPARE"),
    ("cassandra", "300002aabbcc0500000107000000190000000f53454c454354202a2046524f4d", "QUERY"),
    ("mysql", "090000000353454c4543542031", "SELECT"),  # PyMySQL 1.2
    ("mysql", "0700000003434f4d4d4954", "COMMIT"),
    ("mysql", "010000000e", NO_OPERATION),
    ("memcached", "736574206b203020302031206e6f7265706c790d0a760d0a", "set"),  # pymemcache 4.0
    ("memcached", "666c7573685f616c6c2030206e6f7265706c790d0a", "flush_all"),
    ("amqp", "0100010000000a003c0028000000017100ce", "basic.publish"),  # pamqp 4.0
    ("amqp", "0100010000000e003c001400000171000000000000ce", "basic.consume"),
    ("amqp", "0100010000000d003c0050000000000000000100ce", NO_OPERATION),
    ("mqtt", "32080003612f62000178", "PUBLISH"),  # paho-mqtt 2.2
    ("mqtt", "820800010003612f6200", "SUBSCRIBE"),
    ("redis", b"*5\r\n$6\r\nCLIENT\r\n$19\r\nMAINT_NOT".hex(), NO_OPERATION),  # redis-py 8.1
    ("redis", b"*2\r\n$3\r\nGET\r\n$1\r\nk\r\n".hex(), "GET"),
]
RECORDED_FIRST = [  # by 32 bytes
    ("cassandra", "300002aabbcc0500000107000000190000000f53454c454354202a2046524f4d", "SELECT"),
    ("mongodb", "4200000067458b6b00000000dd07000000000000002d0000000266696e640005", "find"),  # pymongo 4.20
    ("mongodb", "5900000069983c6400000000dd07000000000000002200000002757064617465", "update…"),
    ("mongodb", "31000000ff5c491900000000dd07000000000000001c0000001068656c6c6f00", NO_OPERATION),
]
SHOWN_FIRST = [  # by 32 bytes
    ("redis", resp("ZRANGEBYSCORE", "key", "0", "1"), "ZRANGEBYSCORE"),
    ("postgres", parse("__asyncpg_stmt_1__", "SELECT $1"), "SELECT"),
    ("postgres", parse("__asyncpg_stmt_1__", "ROLLBACK TO a"), "ROLLBACK"),
    ("cassandra", b"\x30\0\x02\xaa\xbb\xcc" + cql(0x07, "DESCRIBE t", version=5), "DESCRIBE"),
    ("mongodb", op_msg(b"find"), "find"),
    ("mongodb", op_msg(b"insert"), "insert…"),
    ("mongodb", op_msg(b"aggregate"), "aggreg…"),
    ("mongodb", op_msg(b"hello"), NO_OPERATION),
    ("mongodb", pack("<iiiii", 100, 1, 0, 2004, 0) + b"admin.$cmd\0", NO_OPERATION),
]


@pytest.mark.parametrize(("protocol", "send", "operation"), SHOWN)
def test_sixteen_bytes_show_an_operation(protocol: str | None, send: bytes, operation: str | None) -> None:
    assert operation_of(protocol, send[:SEEN]) == operation


@pytest.mark.parametrize(("protocol", "send", "operation"), SHOWN_FIRST)
def test_thirty_two_bytes_show_more(protocol: str | None, send: bytes, operation: str | None) -> None:
    assert operation_of(protocol, send[:SEEN_FIRST]) == operation


@pytest.mark.parametrize(("protocol", "send", "operation"), RECORDED)
def test_sixteen_bytes_of_a_client_show_an_operation(protocol: str, send: str, operation: str) -> None:
    assert operation_of(protocol, bytes.fromhex(send)[:SEEN]) == operation


@pytest.mark.parametrize(("protocol", "send", "operation"), RECORDED_FIRST)
def test_thirty_two_bytes_of_a_client_show_more(protocol: str, send: str, operation: str) -> None:
    assert operation_of(protocol, bytes.fromhex(send)[:SEEN_FIRST]) == operation


@pytest.mark.parametrize(("protocol", "send", "operation"), [*SHOWN, *SHOWN_FIRST])
def test_fewer_bytes_never_show_another_operation(protocol: str | None, send: bytes, operation: str | None) -> None:
    whole = operation_of(protocol, send[:SEEN_FIRST])
    for length in range(SEEN_FIRST):
        part = operation_of(protocol, send[:length])
        if whole and part:
            assert part == whole or (part.endswith("…") and whole.startswith(part[:-1])) or part == "QUERY"


MESSAGES = st.sampled_from([send for _, send, _ in (*SHOWN, *SHOWN_FIRST)])


@given(st.sampled_from([*MATCHERS, None]), MESSAGES, st.binary(max_size=SEEN_FIRST), st.integers(0, SEEN_FIRST))
def test_any_bytes_are_accepted(protocol: str | None, message: bytes, other: bytes, at: int) -> None:
    for send in (other, message[:at] + other):
        operation = operation_of(protocol, send[:SEEN_FIRST])
        assert operation is None or len(operation) <= SEEN_FIRST
        assert not operation or operation.isprintable()


@given(st.dictionaries(st.text(max_size=3), st.integers(1, 9), max_size=12), st.integers(0, 20))
def test_every_send_is_listed_or_counted(counts: dict[str, int], unknown: int) -> None:
    sends = sum(counts.values()) + unknown
    names, others = list_operations(counts, sends)
    assert len(names) == min(LISTED, len(counts.keys() - {NO_OPERATION}))
    assert list(names) == sorted(names)
    if names:
        assert others == sends - sum(counts[name] for name in {*names, NO_OPERATION} & counts.keys())
        assert all(counts[left_out] <= counts[name] for name in names for left_out in counts.keys() - {*names, ""})
    else:
        assert others == 0


def evidence_of(tmp_path: Path, *, sends: int, prefixes: tuple[bytes, ...], heads: tuple[bytes, ...]) -> Evidence:
    """The evidence of a test with one flow to Redis."""
    suite = TraceBuilder()
    runner = suite.process()
    session = suite.open("session", runner)
    test, call = suite.test("a.py::test", runner, session)
    suite.send(REDIS, call, connects=1, sends=sends, prefixes=prefixes, heads=heads)
    suite.finish(test, call)
    suite.close(session)
    config = load_config(None, tmp_path)
    one = classify(suite.trace(), config, generated_at=datetime(2026, 1, 1, tzinfo=UTC)).tests["a.py::test"]
    (evidence,) = one.evidence
    return evidence


def test_what_opens_a_connection_is_neither_an_operation_nor_another_send(tmp_path: Path) -> None:
    prefixes = (resp("HELLO", "3"), resp("SET", "key", "1"), resp("GET", "key"))
    one = evidence_of(tmp_path, sends=4, prefixes=prefixes, heads=(resp("GET", "key")[:SEEN],))
    assert (one.operations, one.other_sends) == (("GET", "SET"), 0)


def test_sends_without_known_bytes_are_counted(tmp_path: Path) -> None:
    one = evidence_of(tmp_path, sends=7, prefixes=(resp("GET", "key"),), heads=())
    assert (one.operations, one.other_sends) == (("GET",), 6)


def test_without_operations_no_send_is_counted(tmp_path: Path) -> None:
    one = evidence_of(tmp_path, sends=7, prefixes=(resp("CLIENT", "SETINFO"),), heads=())
    assert (one.operations, one.other_sends) == ((), 0)


def test_the_operations_with_most_sends_are_listed(tmp_path: Path) -> None:
    names = [f"AB{letter}" for letter in "ABCDEFGHI"]
    sends = [resp(name) for name in (*names, *names[1:])]
    one = evidence_of(tmp_path, sends=len(sends), prefixes=tuple(sends), heads=())
    assert (one.operations, one.other_sends) == (tuple(names[1:]), 1)
