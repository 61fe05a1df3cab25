"""Real peers for the scenarios, in one process outside of the traced tree. Most of them echo.

`python peers.py` prints their addresses as one line of JSON and serves until its stdin ends. For each line that it
reads, it prints what has arrived at them so far: a JSON list of [type of socket, address,
number of connections, number of bytes].
"""

from __future__ import annotations

import json
import os
import random
import socket
import ssl
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Lock, Thread
from typing import Final, NoReturn

import dns.message
import dns.name
import dns.rdatatype
import dns.rrset

Address = str | tuple[str, int]
"""A unix socket's path, or its name after a NUL; host and port."""

HOST, HOST6 = "127.0.0.1", "::1"
SERVICE_PORTS: Final = (443, 1218, 3021, 5432, 5434, 6080, 6381, 6382, 6443, 7000, 8000, 8086, 8888, 9042, 49153)
"""Ports of services that presets know, and one as Docker publishes them. Only this process has their address."""
_PORTS: Final = (28_000, 32_768)
"""Ports that no preset knows, and below those that the kernel assigns (ip_local_port_range, ip(7))."""
_FREE: Final = iter(random.sample(range(*_PORTS), _PORTS[1] - _PORTS[0]))
"""Each port once: a rule for 127.0.0.1 applies to ::1, too."""
_OPEN: Final[list[socket.socket]] = []
"""Sockets that stay open until the process ends."""

_FILLING: Final[set[tuple[object, object]]] = set()
"""Both addresses of the connections of this process itself that fill a queue. One local port can have several peers."""

_BY_PORT: Final[dict[str, socket.socket]] = {}
"""Port → the socket that listens there on a client's request."""

_RECEIVED: Final[dict[tuple[int, Address], list[int]]] = {}
"""A peer's type of socket and address → number of its connections, and number of bytes that arrived."""

_COUNTING: Final = Lock()


@dataclass(frozen=True, slots=True)
class Peer:
    """How a client reaches a peer."""

    family: int
    type: int
    address: Address
    tls: bool = False


class Client(socket.socket):
    """An accepted connection. It counts what arrives."""

    server: Peer

    @classmethod
    def of(cls, accepted: socket.socket, client: object) -> Client:
        """Take over an accepted socket. `client`: the address of the client, which may have gone by now."""
        self = cls(accepted.family, accepted.type, accepted.proto, accepted.detach())
        self.server = peer(self)
        if self.family != socket.AF_UNIX:
            self.setsockopt(socket.SOL_SOCKET, socket.SO_OOBINLINE, 1)  # an urgent byte counts like the others
        if (client, self.server.address) not in _FILLING:
            count(self.server, connections=1)
        return self

    def recv(self, size: int, flags: int = 0) -> bytes:
        data = super().recv(size, flags)
        count(self.server, size=len(data))
        return data

    def read_to_the_end(self) -> None:
        """Read and drop what the client still sends. What arrived before a reset can be read after it."""
        with suppress(OSError):
            while self.recv(65536):
                pass

    def answer(self, data: bytes) -> None:
        """Send, unless the client has gone: what it has sent before is still to be read."""
        with suppress(OSError):
            self.sendall(data)


def count(server: Peer, *, connections: int = 0, size: int = 0) -> None:
    """Add to what arrived at a peer."""
    with _COUNTING:
        of_peer = _RECEIVED.setdefault((server.type, server.address), [0, 0])
        of_peer[0] += connections
        of_peer[1] += size


def main() -> None:
    """Serve until stdin ends."""
    os.umask(0)  # a scenario may run as another user
    with TemporaryDirectory(prefix="truth-peers-", dir="/tmp") as directory:  # a unix socket's path has to be short
        Path(directory).chmod(0o755)
        peers = start(Path(directory))
        print(json.dumps({name: asdict(peer) for name, peer in peers.items()}), flush=True)
        for _ in sys.stdin:
            with _COUNTING:
                received = [[kind, address, *counts] for (kind, address), counts in _RECEIVED.items()]
            print(json.dumps(received), flush=True)


def start(directory: Path) -> dict[str, Peer]:
    """Start all peers, in threads that end with the process."""
    peers = {name: echo(reserve(HOST)[0]) for name in ("alpha", "beta", "gamma", "delta")}
    peers["six"] = echo(reserve(HOST6)[0])
    mapped = echo(reserve(HOST)[0])
    peers["dual"] = Peer(socket.AF_INET6, mapped.type, (f"::ffff:{HOST}", int(mapped.address[1])))
    peers["tls"] = replace(serve(reserve(HOST)[0], partial(echo_tls, context=certified(directory))), tls=True)
    peers["udp"] = echo(reserve(HOST)[1])
    peers["udp6"] = echo(reserve(HOST6)[1])
    peers["stream"] = echo(bound(socket.SOCK_STREAM, f"{directory}/stream"))
    peers["packets"] = echo(bound(socket.SOCK_SEQPACKET, f"{directory}/packets"))
    peers["datagrams"] = echo(bound(socket.SOCK_DGRAM, f"{directory}/datagrams"))
    peers["abstract"] = echo(bound(socket.SOCK_STREAM, f"\0truth-peers-{os.getpid()}"))
    peers["greeter"] = serve(reserve(HOST)[0], greet)
    peers["sink"] = serve(reserve(HOST)[0], swallow)
    peers["errands"] = serve(reserve(HOST)[0], run_errands)
    peers["closed"] = peer(reserve(HOST)[0])
    peers["silent"] = silent(reserve(HOST)[0])
    for port in SERVICE_PORTS:
        with suppress(OSError):  # another process listens there at all addresses
            peers[str(port)] = echo(at(own_host(), port))
    peers["53"] = name_server(own_host())
    peers["docker.sock"] = echo(bound(socket.SOCK_STREAM, f"{directory}/docker.sock"))
    peers["missing"] = Peer(socket.AF_UNIX, socket.SOCK_STREAM, f"{directory}/missing")
    return peers


def reserve(host: str) -> tuple[socket.socket, socket.socket]:
    """A TCP and a UDP socket on the same port, because a port in a rule stands for both.

    The kernel does not assign this port in another network namespace either, where a suite may have its own servers.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    while True:
        address = (host, next(_FREE))
        stream, datagram = socket.socket(family, socket.SOCK_STREAM), socket.socket(family, socket.SOCK_DGRAM)
        with suppress(OSError):  # the port is in use
            stream.bind(address)
            datagram.bind(address)
            _OPEN.extend((stream, datagram))
            return stream, datagram


def own_host() -> str:
    """A loopback address that only this process uses: a pid has at most 22 bits (proc(5), pid_max)."""
    pid = os.getpid()
    return f"127.{64 + (pid >> 16)}.{pid >> 8 & 255}.{pid & 255}"


def at(host: str, port: int) -> socket.socket:
    """A TCP socket at a port; 0: a free one."""
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.bind((host, port))
    return sock


def bound(kind: int, address: str) -> socket.socket:
    """A unix socket with a path or an abstract name."""
    sock = socket.socket(socket.AF_UNIX, kind)
    sock.bind(address)
    return sock


def peer(sock: socket.socket) -> Peer:
    """The peer behind a bound socket."""
    address = sock.getsockname()
    if isinstance(address, tuple):
        return Peer(sock.family, sock.type, (address[0], address[1]))
    return Peer(sock.family, sock.type, address.decode() if isinstance(address, bytes) else address)


def echo(sock: socket.socket) -> Peer:
    """Echo on a bound socket."""
    if sock.type == socket.SOCK_DGRAM:
        _start(echo_datagrams, sock)
        return peer(sock)
    return serve(sock, echo_stream)


def serve(sock: socket.socket, answer: Callable[[Client], None]) -> Peer:
    """Listen, and call `answer` for each connection in its own thread."""
    sock.listen(socket.SOMAXCONN)
    _start(accept_all, sock, answer)
    return peer(sock)


def accept_all(sock: socket.socket, answer: Callable[[Client], None]) -> None:
    """Accept until the socket is shut down."""
    with suppress(OSError):
        while True:
            _start(_answer, Client.of(*sock.accept()), answer)


def _answer(client: Client, answer: Callable[[Client], None]) -> None:
    with suppress(OSError), client:
        answer(client)


def echo_stream(client: Client) -> None:
    """Echo until the client shuts down."""
    while data := client.recv(65536):
        client.answer(data)


def echo_tls(client: Client, context: ssl.SSLContext) -> None:
    """The same, after a handshake."""
    encrypted, answers = ssl.MemoryBIO(), ssl.MemoryBIO()
    connection = context.wrap_bio(encrypted, answers, server_side=True)
    shaken = False
    while data := client.recv(65536):
        encrypted.write(data)
        with suppress(ssl.SSLWantReadError, ssl.SSLZeroReturnError):
            if not shaken:
                connection.do_handshake()
                shaken = True
            while plain := connection.read(65536):
                connection.write(plain)
        client.answer(answers.read())


def greet(client: Client) -> None:
    """Send first, then wait until the client closes."""
    client.answer(b"hello")
    client.read_to_the_end()


def swallow(client: Client) -> None:
    """Read to the end, then send the number of bytes."""
    size = 0
    while data := client.recv(65536):
        size += len(data)
    client.answer(str(size).encode())


def run_errands(client: Client) -> None:
    """Execute a client's command and send its result as one line. `suite/peers.py` lists the commands."""
    errand, *arguments = client.recv(65536).decode().split()
    client.answer((ERRANDS[errand](*arguments) + "\n").encode())


def call(host: str, port: str) -> str:
    """Connect, send, and return the whole answer."""
    with socket.create_connection((host, int(port))) as sock, sock.makefile() as answer:
        sock.sendall(b"ask")
        return answer.read()


def listen(port: str) -> str:
    """Listen on a port (0: a free one) and echo there. Returns the port."""
    sock = at(HOST, int(port))
    echo(sock)
    _BY_PORT[str(sock.getsockname()[1])] = sock
    return str(sock.getsockname()[1])


def stop(port: str) -> str:
    """Stop listening on a port. A thread in accept keeps the socket open, so shut it down first."""
    with _BY_PORT.pop(port) as sock:
        sock.shutdown(socket.SHUT_RDWR)
    return "stopped"


def keep_waiting() -> str:
    """Listen on a free port with a full queue, so that no attempt to connect succeeds. Returns the port."""
    sock = reserve(HOST)[0]
    port = str(silent(sock).address[1])
    _BY_PORT[port] = sock
    return port


def admit(port: str) -> str:
    """Accept the connections that wait there, and echo."""
    echo(_BY_PORT.pop(port))
    return "admitted"


def take_over() -> str:
    """Echo on a unix socket whose listening process has ended. Returns that process's pid and the abstract name."""
    sock = bound(socket.SOCK_STREAM, "")  # the kernel chooses a name: unix(7), autobind
    listen = "import socket, sys; socket.socket(fileno=int(sys.argv[1])).listen()"
    command = [sys.executable, "-I", "-S", "-c", listen, str(sock.fileno())]
    with subprocess.Popen(command, pass_fds=[sock.fileno()]) as listener:
        listener.wait()
    _start(accept_all, sock, echo_stream)
    return f"{listener.pid} {sock.getsockname().decode()[1:]}"


def echo_datagrams(sock: socket.socket) -> NoReturn:
    """Echo each datagram whose sender has an address and still exists."""
    server = peer(sock)
    while True:
        data, sender = sock.recvfrom(65536)
        count(server, size=len(data))
        if sender:
            with suppress(OSError):
                sock.sendto(data, sender)


def name_server(host: str) -> Peer:
    """A name server by UDP and TCP. Every name has this host's address; `alias.test` is another name of `real.test`."""
    datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    datagrams.bind((host, 53))
    _start(answer_datagrams, datagrams)
    return serve(at(host, 53), answer_query)


def answer_datagrams(sock: socket.socket) -> NoReturn:
    """Answer each query to a name server by UDP."""
    while True:
        query, sender = sock.recvfrom(65536)
        count(peer(sock), size=len(query))
        sock.sendto(answered(query, sock.getsockname()[0]), sender)


def answer_query(client: Client) -> None:
    """Answer one query to a name server by TCP, where each message follows its length (RFC 1035, 4.2.2)."""
    query = b""
    while len(query) < 2 or len(query) < 2 + int.from_bytes(query[:2], "big"):
        query += client.recv(65536)
    answer = answered(query[2:], client.getsockname()[0])
    client.answer(len(answer).to_bytes(2, "big") + answer)


def answered(query: bytes, host: str) -> bytes:
    """A name server's answer. Without an address of IPv6, it is empty."""
    asked = dns.message.from_wire(query)
    answer = dns.message.make_response(asked)
    (question,) = asked.question
    name = question.name
    if str(name) == "alias.test.":
        answer.answer.append(dns.rrset.from_text(name, 60, "IN", "CNAME", "real.test."))
        name = dns.name.from_text("real.test.")
    if question.rdtype == dns.rdatatype.A:
        answer.answer.append(dns.rrset.from_text(name, 60, "IN", "A", host))
    return answer.to_wire()


def silent(sock: socket.socket) -> Peer:
    """A peer whose queue is full: the kernel does not answer further attempts to connect."""
    sock.listen(0)
    filling = socket.create_connection(sock.getsockname())
    _OPEN.append(filling)
    _FILLING.add((filling.getsockname(), filling.getpeername()))
    return peer(sock)


def certified(directory: Path) -> ssl.SSLContext:
    """A server's context with a fresh self-signed certificate."""
    key, certificate = directory / "key.pem", directory / "certificate.pem"
    curve = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
    names = ("-subj", "/CN=localhost", "-addext", f"subjectAltName=DNS:localhost,IP:{HOST}", "-days", "1")
    server = ("-addext", "basicConstraints=critical,CA:FALSE")  # rustls refuses an authority's certificate
    command = ["openssl", "req", "-x509", *curve, *names, *server, "-keyout", str(key), "-out", str(certificate)]
    subprocess.run(command, check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    return context


ERRANDS: Final[dict[str, Callable[..., str]]] = {
    "call": call,
    "listen": listen,
    "stop": stop,
    "keep_waiting": keep_waiting,
    "admit": admit,
    "take_over": take_over,
}


def _start(function: Callable[..., None], *arguments: object) -> None:
    Thread(target=function, args=arguments, daemon=True).start()


if __name__ == "__main__":
    main()
