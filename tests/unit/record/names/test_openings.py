"""The host in the first bytes that clients send."""

from __future__ import annotations

import http.client
import socket
import ssl
from pathlib import Path
from typing import Final, NamedTuple

import pytest
from hpack import Encoder
from hypothesis import given
from hypothesis import strategies as st

from tracer.record.names.name import host_name
from tracer.record.names.openings import host_in

RECORDED_SIZE: Final = 2048  # bytes of a send that the probes emit
PREFACE: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
SETTINGS: Final = bytes.fromhex("000006040000000000000300000064")
GET: Final = [(":method", "GET"), (":scheme", "http"), (":path", "/")]


class Recorded(NamedTuple):
    protocol: str
    host: str
    client: str
    data: bytes


def _recorded() -> list[Recorded]:
    lines = Path(__file__).with_name("data").joinpath("openings.tsv").read_text().splitlines()
    rows = [line.split("\t") for line in lines if not line.startswith("#")]
    return [Recorded(protocol, host, client, bytes.fromhex(data)) for protocol, host, client, data in rows]


RECORDED: Final = _recorded()


def request(head: str) -> bytes:
    return head.replace("\n", "\r\n").encode()


def hello_of(name: str | None) -> bytes:
    """The ClientHello of Python's ssl."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    written = ssl.MemoryBIO()
    client = context.wrap_bio(ssl.MemoryBIO(), written, server_hostname=name)
    with pytest.raises(ssl.SSLWantReadError):
        client.do_handshake()
    return written.read()


def in_records(hello: bytes, size: int) -> bytes:
    """The same ClientHello, spread over records of this many bytes."""
    parts = [hello[at : at + size] for at in range(5, len(hello), size)]
    return b"".join(b"\x16\x03\x01" + len(part).to_bytes(2, "big") + part for part in parts)


def frame(kind: int, payload: bytes = b"", flags: int = 0, stream: int = 0) -> bytes:
    return len(payload).to_bytes(3, "big") + bytes((kind, flags)) + stream.to_bytes(4, "big") + payload


def headers(
    *fields: tuple[str, str], huffman: bool = True, flags: int = 0x5, around: tuple[bytes, bytes] = (b"", b"")
) -> bytes:
    """A HEADERS frame, with bytes around the fields."""
    return frame(1, around[0] + Encoder().encode(list(fields), huffman=huffman) + around[1], flags, 1)


@pytest.mark.parametrize("recorded", RECORDED, ids=lambda recorded: f"{recorded.protocol}-{recorded.client}")
class TestRecorded:
    def test_the_host_is_found(self, recorded: Recorded) -> None:
        assert host_in(recorded.data) == recorded.host

    def test_a_part_never_gives_another_host(self, recorded: Recorded) -> None:
        data = recorded.data[:RECORDED_SIZE]
        assert {host_in(data[:size]) for size in range(len(data))} <= {"", recorded.host}


class TestHttp1:
    @pytest.mark.parametrize(
        ("head", "host"),
        [
            ("GET / HTTP/1.1\nHost: es.internal:9200\n\n", "es.internal"),
            ("GET / HTTP/1.1\nHost: ES.Internal.\n\n", "es.internal"),
            ("GET / HTTP/1.1\nAccept: */*\nhost:es\nX: y\n", "es"),
            ("GET / HTTP/1.1\nHOST: \t es \t \n", "es"),
            ("GET / HTTP/1.1\nHost: es:\n", "es"),
            ("GET / HTTP/1.0\nHost: es\n\n", "es"),
            ("OPTIONS * HTTP/1.1\nHost: es\n\n", "es"),
            ("M-SEARCH /?q=a:b HTTP/1.1\nHost: es\n\n", "es"),
            ("CONNECT api.example.com:443 HTTP/1.1\nHost: proxy.example.com\n\n", "api.example.com"),
            (
                "GET http://user:secret@api.example.com:80/x?u=http://other/ HTTP/1.1\nHost: proxy.example.com\n\n",
                "api.example.com",
            ),
            ("GET HTTPS://api.example.com HTTP/1.1\nHost: proxy.example.com\n\n", "api.example.com"),
            ("GET /http://other/ HTTP/1.1\nHost: es\n\n", "es"),
            ("GET / HTTP/1.1\nX: 1\n Host: folded\nHost: es\n\n", "es"),
            ("GET / HTTP/1.1\nX-Host: other\nX: Host: other\nHost: es\n\n", "es"),
        ],
    )
    def test_the_host_is_found(self, head: str, host: str) -> None:
        assert host_in(request(head)) == host
        assert host_in(head.encode()) == host  # lines that end without CR

    @pytest.mark.parametrize(
        "head",
        [
            "GET / HTTP/1.1\nHost: es.inter",
            "GET / HTTP/1.1\nHost: es.internal\r",
            "GET / HTTP/1.1\nAccept: */*\n\nHost: in.the.body\n",
            "GET / HTTP/1.1\nHost: es\n .internal\n\n",
            "GET / HTTP/1.1\nHost:\n\n",
            "GET / HTTP/1.1\nHost: 10.0.0.1:9200\n\n",
            "GET / HTTP/1.1\nHost: [::1]:9200\n\n",
            "GET / HTTP/1.1\nHost: ::1\n\n",
            "GET / HTTP/1.1\nHost: localhost:9200\n\n",
            "GET / HTTP/1.1\nHost: es:80x\n\n",
            "GET http://10.0.0.1/ HTTP/1.1\nHost: proxy.example.com\n\n",
            "GET / HTTP/2.0\nHost: es\n\n",
            "GET /\nHost: es\n\n",
            "GET  / HTTP/1.1\nHost: es\n\n",
            "RTSP/1.0 200 OK\nHost: es\n\n",
            "EHLO es\nHost: es\n",
            "Host: es\n\n",
        ],
    )
    def test_no_host(self, head: str) -> None:
        assert host_in(request(head)) == ""

    def test_http_client(self) -> None:
        ours, its = socket.socketpair()
        with ours, its:
            connection = http.client.HTTPConnection("Search.Example.com", 9200)
            connection.sock = its
            connection.request("POST", "/_bulk", b"{}")
            assert host_in(ours.recv(RECORDED_SIZE)) == "search.example.com"
            connection.close()


class TestTls:
    def test_every_cut_of_a_hello(self) -> None:
        hello = hello_of("db.example.com")
        end = hello.index(b"db.example.com") + len("db.example.com")
        assert [host_in(hello[:size]) for size in range(len(hello) + 1)] == [
            "db.example.com" if size >= end else "" for size in range(len(hello) + 1)
        ]

    def test_a_hello_without_a_name(self) -> None:
        assert host_in(hello_of(None)) == host_in(hello_of("127.0.0.1")) == ""

    @pytest.mark.parametrize("size", [1, 7, 100, 200])
    def test_a_hello_in_several_records(self, size: int) -> None:
        data = in_records(hello_of("db.example.com"), size)
        assert host_in(data) == "db.example.com"
        assert {host_in(data[:cut]) for cut in range(len(data))} == {"", "db.example.com"}

    def test_the_name_may_be_the_last_extension(self) -> None:
        name = bytes.fromhex("0000 0007 0005 00 0002") + b"db"
        before = bytes.fromhex("0017 0000 002b 0003 020304")  # extended_master_secret, supported_versions
        assert host_in(hello(before + name)) == "db"
        assert host_in(hello(before + name[:-1])) == ""

    @pytest.mark.parametrize(
        "extension",
        [
            "0000 0007 0005 01 0002 6462",  # a name of another type
            "0000 0007 0005 00 0003 6462",  # longer than its extension
            "0000 0000",  # as servers send it
            "0010 0005 0003 02 6832",  # ALPN
            "",
        ],
    )
    def test_no_host(self, extension: str) -> None:
        assert host_in(hello(bytes.fromhex(extension))) == ""

    def test_a_name_behind_the_extensions_does_not_count(self) -> None:
        data = hello(b"", behind=bytes.fromhex("0000 0007 0005 00 0002 6462"))
        assert host_in(data) == ""

    def test_another_message_of_the_handshake(self) -> None:
        client_hello = hello_of("db.example.com")
        assert host_in(client_hello[:5] + b"\x02" + client_hello[6:]) == ""


def hello(extensions: bytes, behind: bytes = b"") -> bytes:
    """A ClientHello with one cipher suite and these extensions."""
    body = bytes.fromhex("0303") + bytes(32) + bytes.fromhex("00 0002 1301 01 00")
    body += len(extensions).to_bytes(2, "big") + extensions + behind
    message = b"\x01" + len(body).to_bytes(3, "big") + body
    return b"\x16\x03\x01" + len(message).to_bytes(2, "big") + message


class TestHttp2:
    @pytest.mark.parametrize("before", [b"", PREFACE, SETTINGS, PREFACE + SETTINGS, frame(4, flags=1)])
    @pytest.mark.parametrize("huffman", [True, False])
    def test_the_first_headers_in_a_send(self, before: bytes, huffman: bool) -> None:
        assert (
            host_in(before + headers(*GET, (":authority", "Api.example.com:50051"), huffman=huffman))
            == "api.example.com"
        )

    def test_other_frames_come_first(self) -> None:
        before = [frame(8, bytes(4)), frame(2, bytes(5), stream=3), frame(6, bytes(8)), frame(16, bytes(6)), SETTINGS]
        assert host_in(b"".join(before) + headers(*GET, (":authority", "api"))) == "api"

    def test_the_field_host_is_second(self) -> None:
        assert host_in(headers(*GET, ("host", "es:9200"))) == "es"
        assert host_in(headers(*GET, (":authority", "api"), ("host", "es"))) == "api"

    @pytest.mark.parametrize(
        ("flags", "around"),
        [
            (0x4 | 0x20, (bytes(5), b"")),
            (0x4 | 0x8, (b"\x03", bytes(3))),
            (0x4 | 0x8 | 0x20, (b"\x07" + bytes(5), bytes(7))),
        ],
    )
    def test_padding_and_priority(self, flags: int, around: tuple[bytes, bytes]) -> None:
        assert host_in(headers(*GET, (":authority", "api"), flags=flags, around=around)) == "api"

    def test_a_table_may_be_larger_than_usual(self) -> None:
        encoder = Encoder()
        encoder.header_table_size = 65536
        assert host_in(frame(1, encoder.encode([*GET, (":authority", "api")]), 0x4, 1)) == "api"

    def test_later_requests_refer_to_earlier_ones(self) -> None:
        encoder, fields = Encoder(), [*GET, (":authority", "api")]
        first, second = (frame(1, encoder.encode(fields), 0x5, stream) for stream in (1, 3))
        assert (host_in(first), host_in(second)) == ("api", "")
        assert host_in(first + second) == "api"

    @pytest.mark.parametrize(
        "data",
        [
            PREFACE,
            PREFACE + SETTINGS,
            headers(*GET),
            headers(*GET, (":authority", "10.0.0.1:80")),
            headers((":status", "200"), ("host", "es")),  # a response
            headers(*GET, (":authority", "api"), flags=0x1),  # more of it follows
            headers(*GET, (":authority", "api"), flags=0x4 | 0x8, around=(b"\xff", b"")),  # more padding than payload
            frame(1, b"", 0x4 | 0x8, 1),
            frame(1, b"\x00\x00", 0x4 | 0x20, 1),
            frame(0, b"x" * 50, stream=1) + headers(*GET, (":authority", "api")),  # a first request's data
            b"\x00\x00\x00\x2a\x00\x12\x00\x04\x00\x00\x00\x01\x00\x07rdkafka" + bytes(40),
            bytes(2048),
        ],
    )
    def test_no_host(self, data: bytes) -> None:
        assert host_in(data) == ""

    def test_a_part_of_a_frame(self) -> None:
        data = headers(*GET, (":authority", "api"))
        assert not any(host_in(data[:size]) for size in range(len(data)))


@given(
    st.binary(max_size=200), st.sampled_from([b"", b"\x16\x03\x01", PREFACE, b"\0", b"GET / HTTP/1.1\r\n", SETTINGS])
)
def test_any_bytes(data: bytes, before: bytes) -> None:
    name = host_in(before + data)
    assert host_name(name) == name


@given(st.sampled_from(RECORDED), st.data())
def test_changed_bytes(recorded: Recorded, chance: st.DataObject) -> None:
    data = bytearray(recorded.data)
    for _ in range(chance.draw(st.integers(1, 4))):
        at = chance.draw(st.integers(0, len(data) - 1))
        data[at : at + chance.draw(st.integers(0, 3))] = chance.draw(st.binary(max_size=3))
    name = host_in(bytes(data))
    assert host_name(name) == name
