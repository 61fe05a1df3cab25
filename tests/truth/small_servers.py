"""Small servers, which know just enough of their protocols for one kind of request: Cassandra, Pulsar, ZooKeeper, HTTP.

`python small_servers.py` prints their addresses as one line of JSON and serves until its stdin ends.
"""

from __future__ import annotations

import json
import struct
import sys
from collections.abc import Callable, Iterator
from enum import IntEnum
from http.server import BaseHTTPRequestHandler
from io import BufferedIOBase
from socketserver import StreamRequestHandler, ThreadingTCPServer
from threading import Thread
from typing import Final

HOST: Final = "127.0.0.1"


class Server(ThreadingTCPServer):
    """Serves each connection in a thread that ends with the process."""

    daemon_threads = True

    def address(self) -> str:
        """HOST:PORT."""
        return f"{HOST}:{self.server_address[1]}"


class Conversation(StreamRequestHandler):
    """A connection on which each request has an answer."""

    disable_nagle_algorithm = True
    answers: Callable[[BufferedIOBase, str], Iterator[bytes]]

    def handle(self) -> None:
        assert isinstance(self.server, Server)
        try:
            for answer in type(self).answers(self.rfile, self.server.address()):
                self.wfile.write(answer)
        except (EOFError, ConnectionError):  # the client has gone
            pass


def exactly(stream: BufferedIOBase, size: int) -> bytes:
    """The next bytes of a stream.

    Raises:
        EOFError: the client has closed the connection.
    """
    data = stream.read(size)
    if len(data) < size:
        raise EOFError
    return data


def number(stream: BufferedIOBase) -> int:
    """A 32-bit number in network byte order."""
    return int.from_bytes(exactly(stream, 4), signed=True)


def sized(data: bytes) -> bytes:
    """Data after its length, a 32-bit number."""
    return struct.pack("!i", len(data)) + data


# ZooKeeper: zookeeper.jute and ZooDefs.OpCode in its sources.

_CLOSE_SESSION: Final = -11
_EXISTS: Final = 3
_STAT: Final = bytes(68)


def zookeeper(stream: BufferedIOBase, _: str) -> Iterator[bytes]:
    """A session, in which each node exists."""
    hello = exactly(stream, number(stream))
    (timeout_ms,) = struct.unpack_from("!i", hello, 12)  # after the version and the last transaction
    yield sized(struct.pack("!iiq", 0, timeout_ms, 1) + sized(bytes(16)) + b"\0")
    kind = 0
    while kind != _CLOSE_SESSION:
        request = exactly(stream, number(stream))
        request_id, kind = struct.unpack_from("!ii", request)
        yield sized(struct.pack("!iqi", request_id, 1, 0) + (_STAT if kind == _EXISTS else b""))


# Cassandra: native_protocol_v4.spec in its sources.

_READY, _SUPPORTED, _RESULT = 0x02, 0x06, 0x08
_OPTIONS, _QUERY = 0x05, 0x07
_VARCHAR, _UUID = 0x0D, 0x0C
_NODE: Final = {
    "key": (_VARCHAR, b"local"),
    "cluster_name": (_VARCHAR, b"truth"),
    "data_center": (_VARCHAR, b"here"),
    "rack": (_VARCHAR, b"one"),
    "release_version": (_VARCHAR, b"3.11.0"),
    "partitioner": (_VARCHAR, b"org.apache.cassandra.dht.Murmur3Partitioner"),
    "host_id": (_UUID, bytes(16)),
}


def cassandra(stream: BufferedIOBase, _: str) -> Iterator[bytes]:
    """A cluster of one node. Each query's result is the node's row of system.local; there are no other nodes."""
    while True:
        _version, _flags, request_id, opcode, size = struct.unpack("!BBhBi", exactly(stream, 9))
        body = exactly(stream, size)
        answer, content = _READY, b""
        if opcode == _OPTIONS:
            answer, content = _SUPPORTED, _VERSIONS
        elif opcode == _QUERY:
            answer, content = _RESULT, _rows(0 if b"system.peers" in body else 1)
        yield struct.pack("!BBhBi", 0x84, 0, request_id, answer, len(content)) + content


def _rows(number_of_rows: int) -> bytes:
    """A result of the kind Rows, with the table's name once for all columns."""
    head = struct.pack("!iii", 2, 1, len(_NODE)) + _string(b"system") + _string(b"local")
    columns = b"".join(_string(name.encode()) + struct.pack("!h", kind) for name, (kind, _) in _NODE.items())
    row = b"".join(sized(value) for _, value in _NODE.values())
    return head + columns + struct.pack("!i", number_of_rows) + row * number_of_rows


def _string(text: bytes) -> bytes:
    return struct.pack("!h", len(text)) + text


_VERSIONS: Final = (  # a multimap of strings
    struct.pack("!h", 2)
    + (_string(b"CQL_VERSION") + struct.pack("!h", 1) + _string(b"3.4.4"))
    + (_string(b"COMPRESSION") + struct.pack("!h", 0))
)


# Pulsar: PulsarApi.proto in its sources. A command's type is also the number of its field.


class Command(IntEnum):
    """Types of commands."""

    CONNECT = 2
    CONNECTED = 3
    PRODUCER = 5
    SEND = 6
    SEND_RECEIPT = 7
    PRODUCER_SUCCESS = 17
    PARTITIONED_METADATA = 21
    PARTITIONED_METADATA_RESPONSE = 22
    LOOKUP = 23
    LOOKUP_RESPONSE = 24


Message = dict[int, int | bytes]
"""A message of Protocol Buffers: number of a field → its last value."""


def pulsar(stream: BufferedIOBase, address: str) -> Iterator[bytes]:
    """A broker of topics without partitions, which acknowledges each message."""
    while True:
        frame = exactly(stream, number(stream))  # a command after its length, and a message for SEND
        command = _decoded(frame[4 : 4 + int.from_bytes(frame[:4])])
        kind = command[1]
        assert isinstance(kind, int)
        content = command[kind]
        assert isinstance(content, bytes)
        for answer, fields in _pulsar_answer(kind, _decoded(content), address.encode()):
            yield sized(sized(_encoded({1: int(answer), int(answer): _encoded(fields)})))


def _pulsar_answer(kind: int, request: Message, address: bytes) -> Iterator[tuple[Command, Message]]:
    """The answer to a command, if it has one."""
    match kind:
        case Command.CONNECT:  # name and version
            yield Command.CONNECTED, {1: b"truth", 2: 15}
        case Command.PARTITIONED_METADATA:  # partitions, request, success
            yield Command.PARTITIONED_METADATA_RESPONSE, {1: 0, 2: request[2], 3: 0}
        case Command.LOOKUP:  # URL, connect, request, authoritative
            yield Command.LOOKUP_RESPONSE, {1: b"pulsar://" + address, 3: 1, 4: request[2], 5: 1}
        case Command.PRODUCER:  # request, the producer's name
            yield Command.PRODUCER_SUCCESS, {1: request[3], 2: b"truth"}
        case Command.SEND:  # producer, sequence, the message's id: ledger, entry
            yield Command.SEND_RECEIPT, {1: request[1], 2: request[2], 3: _encoded({1: 1, 2: request[2]})}


def _decoded(data: bytes) -> Message:
    """Only varints and values with a length."""
    fields: Message = {}
    while data:
        tag, data = _varint(data)
        value, data = _varint(data)
        if tag & 7 == 2:
            fields[tag >> 3], data = data[:value], data[value:]
        else:
            fields[tag >> 3] = value
    return fields


def _varint(data: bytes) -> tuple[int, bytes]:
    """A number and what follows it."""
    value = 0
    for index, byte in enumerate(data):
        value |= (byte & 0x7F) << 7 * index
        if byte < 0x80:
            return value, data[index + 1 :]
    raise EOFError


def _encoded(message: Message) -> bytes:
    parts = []
    for field, value in message.items():
        if isinstance(value, int):
            parts.append(_as_varint(field << 3) + _as_varint(value))
        else:
            parts.append(_as_varint(field << 3 | 2) + _as_varint(len(value)) + value)
    return b"".join(parts)


def _as_varint(value: int) -> bytes:
    head = b""
    while value > 0x7F:
        head += bytes([value & 0x7F | 0x80])
        value >>= 7
    return head + bytes([value])


class Http(BaseHTTPRequestHandler):
    """Has each object of S3, and accepts OpenTelemetry's spans."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_HEAD(self) -> None:
        self.answer(b"one")

    do_GET = do_HEAD

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.answer(b"")

    def answer(self, body: bytes) -> None:
        """Send a response with the headers that S3's have."""
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("ETag", '"1"')
        self.send_header("Last-Modified", self.date_time_string(0))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Print nothing."""


def conversation(answers: Callable[[BufferedIOBase, str], Iterator[bytes]]) -> type[Conversation]:
    """A handler of connections."""
    return type(answers.__name__, (Conversation,), {"answers": staticmethod(answers)})


def main() -> None:
    """Serve until stdin ends."""
    handlers = {
        "cassandra": conversation(cassandra),
        "opentelemetry": Http,
        "pulsar": conversation(pulsar),
        "s3": Http,
        "zookeeper": conversation(zookeeper),
    }
    addresses = {}
    for name, handler in handlers.items():
        server = Server((HOST, 0), handler)
        Thread(target=server.serve_forever, daemon=True).start()
        addresses[name] = server.address()
    print(json.dumps(addresses), flush=True)
    sys.stdin.buffer.read()


if __name__ == "__main__":
    main()
