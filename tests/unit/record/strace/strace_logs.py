"""Logs, and their events. The files were written by strace 6.1 with the backend's options; paths are shortened."""

from __future__ import annotations

import errno
from pathlib import Path
from typing import Final

from tracer.record.capture.protocol import Event, Kind, SocketEvent
from tracer.record.capture.strace.lines import Lines
from tracer.record.capture.strace.observer import Observer

LOGS: Final = {path.stem: path.read_bytes() for path in sorted(Path(__file__).with_name("data").glob("*.log"))}
STARTED: Final = """7 1.000000000 execve("/bin/env", ["env"], 0x1 /* 1 var */) = 0 <0.000000001>
7 1.000000001 execve("/bin/python", ["python"], 0x1 /* 1 var */) = 0 <0.000000001>
"""
FIFO: Final = "/run/user/fifo"
NO_PROC: Final = Path("/nonexistent")  # replaces /proc: the logs' processes do not exist


def address(port: int, host: str = "127.0.0.1") -> str:
    return f'{{sa_family=AF_INET, sin_port=htons({port}), sin_addr=inet_addr("{host}")}}'


def observe(log: bytes, proc: Path = NO_PROC, root: int | None = None) -> tuple[list[Event], Observer, Lines]:
    observer, lines = Observer(proc), Lines(lambda ns: ns)
    observer.fifo = FIFO
    observer.start(root_of(log) if root is None else root, 0)
    for item in lines.feed(log):
        observer.take(item)
    return observer.events(0), observer, lines


def root_of(log: bytes) -> int:
    return int(log.split(b" ", 1)[0])


def socket_events(*calls: str, proc: Path = NO_PROC) -> list[str]:
    """The socket events of one process that makes these calls."""
    log = "".join(f"7 2.00000000{at} {call} <0.000000001>\n" for at, call in enumerate(calls))
    events, observer, lines = observe((STARTED + log).encode(), proc)
    assert observer.unknown == lines.unknown == 0
    return [describe(event, 7).replace(" 1 +0", "") for event in events if isinstance(event, SocketEvent)]


def describe(event: Event, root: int) -> str:
    """An event in a line. A task is given by its number minus the root's."""
    task = f"{event.process} +{event.tid - root}"
    if isinstance(event, SocketEvent):
        result = errno.errorcode[-event.result] if event.result < 0 else event.result
        sent = f" {event.prefix!r}" if event.kind == Kind.SEND else ""
        return f"{event.kind.name} {task} {str(event.endpoint)!r} {result}{sent}{' local' if event.local else ''}"
    facts = {Kind.FORK: event.parent, Kind.EXIT: event.status}
    return f"{event.kind.name} {task} {event.command} {facts.get(event.kind, '')}".rstrip()
