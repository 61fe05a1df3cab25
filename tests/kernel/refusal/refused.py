"""Run small programs to which services are refused, and return what they met."""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from ipaddress import ip_network
from pathlib import Path
from tempfile import TemporaryDirectory
from textwrap import dedent
from typing import Any, Final

from tracer.record.invoker import Invoker
from tracer.record.launch import Child
from tracer.record.refusal.hierarchy import mounts, own_cgroup
from tracer.record.refusal.programs import MEANS, Means
from tracer.record.refusal.refusing import Refusing, refusing
from tracer.record.refusal.targets import PROTOCOLS, Refusal, Target

_PRELUDE: Final = """
import errno, json, os, subprocess, sys
from socket import *
RESULT, *GATES = sys.argv[2:]
P = json.loads(sys.argv[1])
IPPROTO_MPTCP = 262
def family(address):
    return AF_UNIX if isinstance(address, str) else AF_INET6 if ":" in address[0] else AF_INET
def named(address):
    return "\\0" + address[1:] if address[0] == "@" else tuple(address) if isinstance(address, list) else address
def met(call, *arguments):
    "What a call gives: `ok`, or an errno's name."
    try:
        call(*arguments)
    except OSError as error:
        return errno.errorcode[error.errno]
    return "ok"
def connect(address, kind=SOCK_STREAM, protocol=0, blocking=True):
    with socket(family(address), kind, protocol) as s:
        s.setblocking(blocking)
        return met(s.connect, named(address))
def send(address, kind=SOCK_DGRAM):
    with socket(family(address), kind) as s:
        return met(s.sendto, b"1", named(address))
def serve(host, port, protocol=0, bind=True):
    "A server, bound to one address or to all; one at :: serves IPv4, too."
    s = socket(family((host, port)), SOCK_STREAM, protocol)
    if bind:
        s.bind((host, port))
    s.listen()
    return s
def report(result):
    with open(RESULT, "w") as file:
        json.dump(result, file)
def wait(gate=0):
    "Until the test opens this gate."
    open(GATES[gate]).close()
"""

CONNECT: Final = 'report(connect(P["at"]))'
"""A program that tries one address."""


@dataclass(frozen=True, slots=True)
class Met:
    """What a program met that has ended."""

    result: Any
    counts: Mapping[Target | str, int]
    refusing: Refusing


@dataclass(frozen=True, slots=True)
class Servers:
    """Servers outside of the tree, all at one port."""

    port: int
    listening: socket.socket  # at 127.0.0.1
    datagrams: socket.socket

    def answer(self) -> None:
        """A client outside of the tree is served."""
        with socket.create_connection(("127.0.0.1", self.port)) as client:
            served, _ = self.listening.accept()
            with served:
                served.sendall(b"served")
                assert client.recv(6) == b"served"
        with socket.socket(type=socket.SOCK_DGRAM) as client:
            client.sendto(b"asked", ("127.0.0.1", self.port))
            data, address = self.datagrams.recvfrom(5)
            self.datagrams.sendto(data, address)
            assert client.recv(5) == b"asked"


def bound(stack: ExitStack, kind: int, address: tuple[str, int] | str) -> socket.socket:
    """A server; it listens if it is no server of datagrams."""
    family = socket.AF_UNIX if isinstance(address, str) else socket.AF_INET6 if ":" in address[0] else socket.AF_INET
    made = stack.enter_context(socket.socket(family, kind))
    if family == socket.AF_INET6:
        made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    made.bind(address)
    if kind != socket.SOCK_DGRAM:
        made.listen()
    return made


def target(host: str | None = None, *ports: int, protocols: frozenset[str] = PROTOCOLS) -> Target:
    """A host or network, at one port or at a range with both ends."""
    network = None if host is None else ip_network(host)
    return Target(network, range(ports[0], ports[-1] + 1) if ports else None, protocols)


def refuse(*hosts_and_ports: tuple[str, int]) -> Refusal:
    """Refuse hosts at one port each."""
    return Refusal(tuple(target(host, port) for host, port in hosts_and_ports))


@dataclass(frozen=True, slots=True)
class Program:
    """A program that runs, with services refused."""

    pid: int
    refusing: Refusing
    _result: Path
    gates: tuple[Path, ...]

    def open(self, gate: int = 0) -> None:
        """Wait until it waits at this gate, and let it go on. Each gate is for one time."""
        self.gates[gate].open("w").close()

    def reported(self) -> Any:  # noqa: ANN401 # JSON
        """What it reported; waits for its end."""
        os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOWAIT)
        return json.loads(self._result.read_text())


@contextmanager
def running(
    refusal: Refusal, text: str, peers: Mapping[str, object], best: Means = MEANS[0], invoker: Invoker | None = None
) -> Iterator[Program]:
    """Start a program, which finds its peers in `P`; at the end it is killed if it still runs."""
    invoker = invoker or Invoker.find()
    with ExitStack() as stack:
        # A program of another user writes there; it may not enter a TMPDIR of this user's.
        directory = Path(stack.enter_context(TemporaryDirectory(dir="/tmp")))
        directory.chmod(0o777)
        result, gates = directory / "result", (directory / "first", directory / "second")
        for gate in gates:
            os.mkfifo(gate)
        arguments = (json.dumps(peers), str(result), *map(str, gates))
        python = sys.executable if invoker.uid == 0 else "/usr/bin/python3"  # this one may be root's only
        child = Child((python, "-I", "-S", "-c", _PRELUDE + dedent(text), *arguments), invoker)
        stack.callback(child.join)
        with ExitStack() as unreleased:
            unreleased.callback(child.abandon)
            refused = stack.enter_context(refusing(refusal, child.pid, invoker, best))
            unreleased.pop_all()
        stack.callback(os.kill, child.pid, signal.SIGKILL)
        child.release({}, hidden=refused.hidden)
        yield Program(child.pid, refused, result, gates)


def run(refusal: Refusal, text: str, *, best: Means = MEANS[0], **peers: object) -> Met:
    """Run a program to its end."""
    with running(refusal, text, peers, best) as program:
        return Met(program.reported(), program.refusing.counts(), program.refusing)


def hierarchy_root() -> Path:
    """A mount of the whole cgroup hierarchy (version 2)."""
    return next(root for root, within in mounts(Path("/proc/self/mountinfo").read_text()) if within == "/")


def cgroup_of(pid: int) -> Path:
    """The directory of a process's cgroup (version 2)."""
    return hierarchy_root() / own_cgroup(Path(f"/proc/{pid}/cgroup").read_text()).lstrip("/")
