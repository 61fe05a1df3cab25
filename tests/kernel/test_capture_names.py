"""Bytes that may contain names of hosts: a socket's first sends, and what is read from name servers."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from kernel.test_capture_sends import SENDMMSG
from kernel.traced import Peers, backend, run
from tracer.record.capture.protocol import Kind

OPENING = b"GET / HTTP/1.1\r\nHost: example.com\r\n\r\n"
CALLS = {
    "send": "s.send(data)",
    "sendto": "s.sendto(data, P.tcp)",
    "sendmsg": "s.sendmsg([data])",
    "write": "os.write(s.fileno(), data)",
    "writev": "os.writev(s.fileno(), [data])",
    "sendmmsg": SENDMMSG + "sendmmsg(s, (data, None))",
}

NAME_SERVER = """
SERVER = f"127.77.{os.getpid() >> 8 & 255}.{os.getpid() & 255}", 53
server = socket(AF_INET, SOCK_DGRAM); server.bind(SERVER)
def answer(data=b"answer"):
    query, client = server.recvfrom(100)
    server.sendto(data, client)
"""
# How a client reads the answer of a name server.
READS = {
    "recv": ("s.connect(SERVER); s.send(b'query')", "s.recv(100)"),
    "recvfrom": ("s.sendto(b'query', SERVER)", "s.recvfrom(100)"),
    "recvmsg": ("s.sendto(b'query', SERVER)", "s.recvmsg(100)"),
    "recvmsg of a connected socket": ("s.connect(SERVER); s.send(b'query')", "s.recvmsg_into([bytearray(100)])"),
    "read": ("s.connect(SERVER); s.send(b'query')", "os.read(s.fileno(), 100)"),
    "readv": ("s.connect(SERVER); s.send(b'query')", "os.readv(s.fileno(), [bytearray(100)])"),
}


@pytest.mark.parametrize("call", CALLS)
def test_the_first_sends_of_a_tcp_socket_have_more_bytes(call: str, peers: Peers) -> None:
    text = f"data = {OPENING!r}\ns = create_connection(P.tcp)\n{CALLS[call]}"
    (opening,) = run(text, peers).data
    assert (opening.kind, opening.endpoint.port, opening.prefix) == (Kind.OPENING, peers.tcp[1], OPENING)


@pytest.mark.parametrize("call", ["s.sendmsg(parts)", "os.writev(s.fileno(), parts)"])
def test_an_opening_joins_buffers(call: str, peers: Peers) -> None:
    """As gRPC sends its first request."""
    text = f"""
        parts = [b"." * 9, b"", b"name: ", b"example.com", *[b"-"] * 40]
        s = create_connection(P.tcp)
        {call}
    """
    joined = [] if backend() == "strace" else [b".........name: example.com" + b"-" * 28]
    assert [event.prefix for event in run(text, peers).data] == joined


def test_joined_buffers_have_limits(peers: Peers) -> None:
    text = """
        s = create_connection(P.tcp)
        s.sendmsg([b"a" * 1000, b"b" * 1000, b"c" * 1000])
        s.sendmsg([b"a" * 1025, b"b" * 1000])
        s.sendmsg([b"a" * 1024, b"b" * 1000])
    """
    if backend() == "strace":
        joined = [b"a" * 512] * 3
    else:
        joined = [b"a" * 1000 + b"b" * 1000 + b"c" * 48, b"a" * 1024, b"a" * 1024 + b"b" * 1000]
    assert [event.prefix for event in run(text, peers).data] == joined


def test_an_opening_has_a_limit(peers: Peers) -> None:
    (opening,) = run("create_connection(P.tcp).send(bytes(range(256)) * 20)", peers).data
    limit = 512 if backend() == "strace" else 2048
    assert (opening.result, opening.prefix) == (5120, bytes(range(256)) * (limit // 256))


def test_only_four_sends_with_more_than_32_bytes_are_openings(peers: Peers) -> None:
    text = """
        s = create_connection(P.tcp)
        for length in 33, 32, 40, 50, 60:
            s.send(b"." * length)
        unix = socket(AF_UNIX); unix.connect(P.stream); unix.send(b"." * 33)
        datagrams = socket(AF_INET, SOCK_DGRAM); datagrams.sendto(b"." * 33, P.udp)
    """
    assert [event.result for event in run(text, peers).data] == [33, 40, 50]


@pytest.mark.parametrize("way", READS)
def test_the_answers_of_name_servers(way: str, peers: Peers, require: Callable[[str], None]) -> None:
    require("answers")
    asks, reads = READS[way]
    text = NAME_SERVER + f"s = socket(AF_INET, SOCK_DGRAM)\n{asks}\nanswer()\n{reads}"
    (answer,) = run(text, peers).data
    assert (answer.kind, answer.prefix, answer.result) == (Kind.ANSWER, b"answer", 6)


def test_the_answers_of_a_name_server_by_tcp(peers: Peers, require: Callable[[str], None]) -> None:
    require("answers")
    text = """
        server = socket(); server.bind((f"127.78.{os.getpid() >> 8 & 255}.{os.getpid() & 255}", 53)); server.listen()
        s = create_connection(server.getsockname()); accepted, _ = server.accept()
        s.send(b"query"); accepted.recv(5)
        accepted.send(b"\\0\\6answer")
        s.recv(2), s.recv(6)
    """
    assert [event.prefix for event in run(text, peers).data] == [b"\0\6", b"answer"]


def test_what_other_sockets_read_is_no_answer(peers: Peers, require: Callable[[str], None]) -> None:
    require("answers")
    text = """
        one, other = socketpair(); one.send(b"."); other.recv(1)
        server = socket(AF_INET, SOCK_DGRAM); server.bind(("127.0.0.1", 0))
        client = socket(AF_INET, SOCK_DGRAM); client.sendto(b"ask", server.getsockname())
        _, address = server.recvfrom(3); server.sendto(b"answer", address); client.recv(6)
        listener = create_server(("127.0.0.1", 0)); s = create_connection(listener.getsockname())
        accepted, _ = listener.accept(); s.send(b"ask"); accepted.recv(3); accepted.send(b"answer"); s.recv(6)
    """
    assert run(text, peers).data == []


def test_the_answers_of_systemds_resolver(peers: Peers, require: Callable[[str], None]) -> None:
    require("answers")
    require("namespaces")
    text = """
        CLONE_NEWNS, MS_REC, MS_PRIVATE = 0x20000, 0x4000, 0x40000
        assert libc.unshare(CLONE_NEWNS) == 0
        assert libc.mount(None, b"/", None, MS_REC | MS_PRIVATE, None) == 0
        assert libc.mount(b"none", b"/run", b"tmpfs", 0, None) == 0
        os.makedirs("/run/systemd/resolve")
        for name in "io.systemd.Resolve", "io.systemd.Resolve.Monitor":
            server = socket(AF_UNIX); server.bind(f"/run/systemd/resolve/{name}"); server.listen()
            client = socket(AF_UNIX); client.connect(server.getsockname()); accepted, _ = server.accept()
            client.send(b"{}\\0"); accepted.send(name[:6].encode())
            client.recv(100)
    """
    (answer,) = run(text, peers).data
    assert (answer.kind, answer.prefix) == (Kind.ANSWER, b"io.sys")
