"""The peers that a scenario talks to: `from peers import alpha`, `alpha.ask()`.

Standard library only, Python from 3.8, and no state: it may be imported, forked and used anywhere. The real servers'
addresses are in the environment instead, under the names that examples/services.py gives them.
"""

from __future__ import annotations

import json
import os
import socket
from typing import Optional, Tuple, Union


class Peer:
    """Where a peer is. Only `closed`, `silent` and `missing` don't answer."""

    def __init__(self, name: str) -> None:
        found = json.loads(os.environ["TRUTH_PEERS"])[name]
        address = found["address"]
        self.family: int = found["family"]
        self.type: int = found["type"]
        self.tls: bool = found["tls"]
        self.address: Union[str, Tuple[str, int]] = address if isinstance(address, str) else tuple(address)

    def connect(self, timeout: Optional[float] = None) -> socket.socket:
        """A connected socket; over `tls` one that has shaken hands."""
        sock = socket.socket(self.family, self.type)
        try:
            sock.settimeout(timeout)
            if (self.family, self.type) == (socket.AF_UNIX, socket.SOCK_DGRAM):
                sock.bind("")  # a name of the kernel's choice, so that the answer finds its way: unix(7), autobind
            sock.connect(self.address)
            return self._wrap(sock) if self.tls else sock
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

    def _wrap(self, sock: socket.socket) -> socket.socket:
        import ssl  # most suites do without

        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        return context.wrap_socket(sock)


def ask(sock: socket.socket, data: bytes = b"ask") -> bytes:
    """Send on a connected socket and wait for the answer, which is the same bytes."""
    sock.sendall(data)
    answer = b""
    while len(answer) < len(data):
        part = sock.recv(65536)
        if not part:
            raise ConnectionError("the peer left without an answer")
        answer += part
    return answer


def errand(*words: object) -> str:
    """Let the process of the peers, which is outside of the run, do something: a connection to `errands`, one send.

    `call HOST PORT`: ask there, hand back the answer. `listen PORT`: answer there (0: on a free port), hand back the
    port; `stop PORT`: no more. `keep_waiting`: a port whose queue is full; `admit PORT`: now let them in.
    `take_over`: answer on a unix socket on which another process listened, hand back its former pid and the name.
    """
    return errands.ask_line(" ".join(map(str, words)))


alpha, beta, gamma, delta = Peer("alpha"), Peer("beta"), Peer("gamma"), Peer("delta")  # TCP on 127.0.0.1
six = Peer("six")  # TCP on ::1
dual = Peer("dual")  # TCP on 127.0.0.1, to be reached as ::ffff:127.0.0.1
tls = Peer("tls")  # TCP on 127.0.0.1, then TLS
udp, udp6 = Peer("udp"), Peer("udp6")
stream, packets, datagrams = Peer("stream"), Peer("packets"), Peer("datagrams")  # unix sockets by path
abstract = Peer("abstract")  # a unix stream socket by abstract name
greeter = Peer("greeter")  # TCP that sends b"hello" to whoever connects
sink = Peer("sink")  # TCP that reads until the client shuts down, then tells how many bytes that were
errands = Peer("errands")  # TCP; see errand()
closed = Peer("closed")  # a TCP port where nobody listens: refused
silent = Peer("silent")  # a TCP port whose queue is full: who connects hears nothing, so give a timeout
missing = Peer("missing")  # a unix path that doesn't exist
