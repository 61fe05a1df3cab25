"""The peers of the scenarios: `from peers import alpha`, `alpha.ask()`.

Standard library only, Python 3.8 and later. The module has no state, so that any process and thread can use it. The
addresses of the real servers are in environment variables, which examples/services.py names.
"""

from __future__ import annotations

import json
import os
import socket
from typing import TYPE_CHECKING, Optional, Tuple, Union

if TYPE_CHECKING:
    import ssl


class Peer:
    """The address of a peer. All peers answer except `closed`, `silent` and `missing`."""

    def __init__(self, name: str) -> None:
        peer = json.loads(os.environ["TRUTH_PEERS"])[name]
        address = peer["address"]
        self.family: int = peer["family"]
        self.type: int = peer["type"]
        self.tls: bool = peer["tls"]
        self.address: Union[str, Tuple[str, int]] = address if isinstance(address, str) else tuple(address)

    def connect(self, timeout: Optional[float] = None) -> socket.socket:
        """A connected socket; of `tls` after the handshake."""
        sock = socket.socket(self.family, self.type)
        try:
            sock.settimeout(timeout)
            if (self.family, self.type) == (socket.AF_UNIX, socket.SOCK_DGRAM):
                sock.bind("")  # the kernel chooses a name, so that the peer can answer: unix(7), autobind
            sock.connect(self.address)
            return unverified_context().wrap_socket(sock) if self.tls else sock
        except BaseException:
            sock.close()
            raise

    def ask(self, data: bytes = b"ask") -> bytes:
        """Connect, send, wait for the answer, close."""
        with self.connect() as sock:
            return ask(sock, data)

    def ask_line(self, line: str) -> str:
        """Connect, send, wait for one line of an answer, close."""
        with self.connect() as sock, sock.makefile() as answers:
            sock.sendall(line.encode())
            return answers.readline().strip()


def unverified_context() -> ssl.SSLContext:
    """A client's context for the peer `tls`, whose certificate no authority has signed."""
    import ssl  # most suites do not need it

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def ask(sock: socket.socket, data: bytes = b"ask") -> bytes:
    """Send on a connected socket and wait for the answer: the same bytes."""
    sock.sendall(data)
    answer = b""
    while len(answer) < len(data):
        part = sock.recv(65536)
        if not part:
            raise ConnectionError("the peer closed the connection without an answer")
        answer += part
    return answer


def errand(*words: object) -> str:
    """Let the peers' process, which is outside of the run, execute a command: one send to `errands`.

    `call HOST PORT`: send there, return the answer. `listen PORT`: echo there (0: on a free port), return the port.
    `stop PORT`: stop listening. `keep_waiting`: return a port whose queue is full. `admit PORT`: accept the waiting
    connections. `take_over`: echo on a unix socket whose listening process has ended, return its pid and the name.
    """
    return errands.ask_line(" ".join(map(str, words)))


alpha, beta, gamma, delta = Peer("alpha"), Peer("beta"), Peer("gamma"), Peer("delta")  # TCP on 127.0.0.1
six = Peer("six")  # TCP on ::1
dual = Peer("dual")  # TCP on 127.0.0.1, to be reached as ::ffff:127.0.0.1
tls = Peer("tls")  # TCP on 127.0.0.1, then TLS
udp, udp6 = Peer("udp"), Peer("udp6")
stream, packets, datagrams = Peer("stream"), Peer("packets"), Peer("datagrams")  # unix sockets by path
abstract = Peer("abstract")  # a unix stream socket by abstract name
greeter = Peer("greeter")  # TCP that sends b"hello" after each connect
sink = Peer("sink")  # TCP that reads until the client shuts down, then sends the number of bytes
errands = Peer("errands")  # TCP; see errand()
closed = Peer("closed")  # a TCP port without a listener: refused
silent = Peer("silent")  # a TCP port whose queue is full: connect gets no answer, so give a timeout
missing = Peer("missing")  # a unix path that doesn't exist
