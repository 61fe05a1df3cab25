"""Trace a small program, and return its events."""

from __future__ import annotations

import errno
import json
import os
import re
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from textwrap import dedent
from typing import Final

from tracer.record.capture.backends import BACKENDS
from tracer.record.capture.protocol import COMMAND_PROCESS, Event, Kind, Loaded, Session, SocketEvent, TaskEvent
from tracer.record.invoker import Invoker
from tracer.record.launch import Child
from tracer.trace.endpoint import Endpoint
from tracer.trace.ids import NO_PROCESS, ProcessId

_PRELUDE: Final = """
import ctypes, errno, json, mmap, os, struct, sys, threading
from contextlib import suppress
from socket import *
from types import SimpleNamespace
P = SimpleNamespace(**{k: tuple(v) if isinstance(v, list) else v for k, v in json.loads(sys.argv[1]).items()})
libc = ctypes.CDLL(None, use_errno=True)
def inet(host, port, family=AF_INET):
    "A sockaddr's bytes."
    v6 = struct.pack("=HHI16sI", AF_INET6, htons(port), 0, inet_pton(AF_INET6, host), 0) if ":" in host else b""
    return v6 or struct.pack("=HH4s8x", AF_INET, htons(port), inet_aton(host))
def report(**facts):
    "Leave facts for the test."
    print(json.dumps(facts), file=open(P.missing, "w"))
"""


DATA: Final = frozenset({Kind.OPENING, Kind.ANSWER})

HOLD: Final = """
import sys
from tracer.record.capture.backends import BACKENDS
loaded = BACKENDS[sys.argv[1]]().start()
print("ready", flush=True)
sys.stdin.read()
"""
"""A program that has the probes loaded and attached until its stdin ends, and says when. Its argument: the backend."""


@dataclass(frozen=True, slots=True)
class Peers:
    """Addresses of real peers, by kind."""

    tcp: tuple[str, int]
    second: tuple[str, int]  # another TCP peer
    tcp6: tuple[str, int]
    closed: tuple[str, int]  # bound, so no other process gets it, but without a listener
    full: tuple[str, int]  # its queue is full: an attempt to connect gets no answer
    udp: tuple[str, int]
    other: tuple[str, int]  # another UDP peer
    udp6: tuple[str, int]
    stream: str
    packets: str
    datagrams: str
    abstract: str
    missing: str  # not bound; a program that does not connect to it may create a file there

    @property
    def names(self) -> dict[str, str]:
        """Endpoint → the name of its peer."""
        datagrams = {"udp", "other", "udp6"}
        found = {}
        for name, address in asdict(self).items():
            if isinstance(address, str):
                found[str(Endpoint("unix", path=address.replace("\0", "@")))] = name
            else:
                found[str(Endpoint("udp" if name in datagrams else "tcp", *address))] = name
        return found


@dataclass(frozen=True, slots=True)
class Traced:
    """A traced program that has ended."""

    pid: int
    events: tuple[Event, ...]
    lost: int

    @property
    def sockets(self) -> list[SocketEvent]:
        """Its socket events, in the order of time: strace may emit a LISTEN late. Without those of `data`."""
        return [event for event in self._of_sockets if event.kind not in DATA]

    @property
    def data(self) -> list[SocketEvent]:
        """Its events with bytes that may contain names of hosts, in the order of time."""
        return [event for event in self._of_sockets if event.kind in DATA]

    @property
    def _of_sockets(self) -> list[SocketEvent]:
        return sorted((event for event in self.events if isinstance(event, SocketEvent)), key=lambda event: event.ns)

    @property
    def sends(self) -> list[SocketEvent]:
        """Its sends, in the kernel's order."""
        return [event for event in self.sockets if event.kind == Kind.SEND]

    def tasks(self, kind: Kind) -> list[TaskEvent]:
        """Its task events of one kind, in the kernel's order."""
        return [event for event in self.events if isinstance(event, TaskEvent) and event.kind == kind]

    @property
    def statuses(self) -> dict[int, int]:
        """Process → wait status; a process that ended twice fails."""
        exits = self.tasks(Kind.EXIT)
        assert len({event.process for event in exits}) == len(exits)
        return {event.process: event.status for event in exits}

    def lines(self, peers: Peers) -> list[str]:
        """Its socket events as `KIND peer result`: an errno's name, or a number. No stranger's UDP port."""
        names = peers.names
        return [
            f"{event.kind.name} {names.get(str(event.endpoint)) or _without_udp_port(str(event.endpoint))} "
            f"{errno.errorcode[-event.result] if event.result < 0 else event.result}"
            for event in self.sockets
        ]


def _without_udp_port(endpoint: str) -> str:
    return re.sub(r"^(udp://.*):\d+$", r"\1:*", endpoint)


LINGER_S: Final = 20.0
"""How long what a command leaves running may take to end."""


class _Shared:
    """The backend that the tests use now, and one of it that is loaded and attached."""

    backend: str
    loaded: Loaded


@contextmanager
def using(backend: str) -> Iterator[None]:
    """Let all that is captured in here be captured by this backend."""
    _Shared.backend = backend
    with capturing() as _Shared.loaded:
        yield


def backend() -> str:
    """The name of the backend that is used now."""
    return _Shared.backend


@contextmanager
def capturing() -> Iterator[Loaded]:
    """The real backend, loaded and attached for this test only."""
    loaded = BACKENDS[_Shared.backend]().start()
    try:
        _ = loaded.lacks_causes  # ends the trial, which has files and a process
        yield loaded
    finally:
        loaded.close()


@dataclass(frozen=True, slots=True)
class Command:
    """A command that is the root of a tree."""

    pid: int
    session: Session
    lost_before: int  # what the backend had lost before the command began


@contextmanager
def running(loaded: Loaded, *command: str, fifo: Path | None = None) -> Iterator[Command]:
    """A running command, the root of the tree; waited for at the end. `fifo`: for boundaries; its own by default."""
    with ExitStack() as cleanup:
        child = Child(command, Invoker.find())
        cleanup.callback(child.join)
        with ExitStack() as unreleased:
            unreleased.callback(child.abandon)
            if fifo is None:
                fifo = Path(cleanup.enter_context(TemporaryDirectory()), "boundaries")
                os.mkfifo(fifo)
            session = loaded.trace(child.pid, fifo)
            cleanup.callback(session.close)
            assert [*session.drain()] == []
            lost_before = session.lost()
            unreleased.pop_all()
        child.release({}, session.wrapper)
        yield Command(child.pid, session, lost_before)
        session.catch_up()  # first: strace would have the child wait until its output is read
        child.join()


@contextmanager
def ended(loaded: Loaded, *command: str, fifo: Path | None = None) -> Iterator[Command]:
    """A command that was the root of the tree, and has ended; its session is open."""
    with running(loaded, *command, fifo=fifo) as traced:
        traced.session.catch_up()
        os.waitid(os.P_PID, traced.pid, os.WEXITED | os.WNOWAIT)
        yield traced


def trace(*command: str) -> Traced:
    """Run a command to its end, traced, and all that it leaves running, which must be about to end."""
    with ended(_Shared.loaded, *command) as traced:
        session = traced.session
        events = [*session.drain()]  # the kernel emits a process's exit before its parent can wait for it
        until = time.monotonic() + LINGER_S
        while _living(events) and time.monotonic() < until:
            events += session.drain()
        session.catch_up()  # to the end, now that no process is left
        events += session.drain()
        return Traced(traced.pid, tuple(_numbered_by_birth(events)), session.lost() - traced.lost_before)


def _living(events: Iterable[Event]) -> int:
    """How many processes were born and have not ended."""
    return 1 + sum({Kind.FORK: 1, Kind.EXIT: -1}.get(event.kind, 0) for event in events)


def _numbered_by_birth(events: Iterable[Event]) -> Iterator[Event]:
    """The events with processes numbered 1, 2, 3, … in the place of serial numbers, which may have gaps."""
    numbers = {NO_PROCESS: NO_PROCESS, COMMAND_PROCESS: COMMAND_PROCESS}
    for event in events:
        number = numbers.setdefault(event.process, ProcessId(len(numbers)))
        if isinstance(event, TaskEvent):
            yield event._replace(process=number, parent=numbers[event.parent])
        else:
            cause = numbers.get(event.cause_process, event.cause_process)
            yield event._replace(process=number, cause_process=cause)


def script(text: str, peers: Peers, *arguments: str) -> tuple[str, ...]:
    """The command line of a Python program, which finds its peers in `P`."""
    return (sys.executable, "-I", "-S", "-c", _PRELUDE + dedent(text), json.dumps(asdict(peers)), *arguments)


def run(text: str, peers: Peers, *arguments: str, namespaces: str = "") -> Traced:
    """Trace a program that ends well, and lost nothing. `namespaces`: unshare(1)'s options, to run it in fresh ones."""
    around = ("unshare", *namespaces.split()) if namespaces else ()
    traced = trace(*around, *script(text, peers, *arguments))
    assert traced.statuses[1] == 0
    assert traced.lost == 0
    return traced


def inode(path: str) -> int:
    """A file's inode number: a namespace's from /proc/PID/ns."""
    return Path(path).stat().st_ino
