"""The layout of the kernel's records, as probes/svc_trace.h defines it, and their decoding.

Host byte order; no implicit padding. A test compares FIELDS with the compiled object's BTF.
"""

from __future__ import annotations

import os
import socket
from functools import lru_cache
from struct import Struct, calcsize
from typing import Final

from tracer.record.capture.protocol import Event, Kind, SocketEvent, TaskEvent
from tracer.trace.endpoint import Endpoint, canonical_host
from tracer.trace.ids import UNKNOWN_GENERATION, HostPid


def _fields(text: str) -> tuple[tuple[str, str], ...]:
    """`name format` of each field, separated by commas."""
    return tuple((name, form) for name, form in (field.split() for field in text.split(",")))


FIELDS: Final = {
    "svc_event": _fields(
        "ns Q, socket Q, result i, process I, tid I, network I, peer 16s, head 16s, port H, protocol H, "
        "kind B, family B, flags B, head_len B, tally I, pid_generation I, cause_ns q, cause_process I, "
        "cause_tid I, unsure_from_ns Q, unsure_to_ns Q"
    ),
    "svc_socket_event": _fields(
        "event 112s, since_ns Q, peer_pid I, path_len H, prefix_len B, reserved B, prefix 32s, path 108s, padding 4s"
    ),
    "svc_data_event": _fields("event 112s, data_len I, reserved I, data 2048s, unused 1024s"),
    "svc_task_event": _fields("event 112s, start_ns Q, lineage_ns Q, parent I, host_pid I, pid I, pidns I, comm 16s"),
    "svc_task": _fields(
        "process I, tid I, message I, announced B, connecting B, runner B, delivering B, ended I, opening I, "
        "lineage_ns Q, sending Q, cause_ns Q, cause_process I, cause_tid I, waited_ns Q, "
        "unsure 16s, args 32s"
    ),
    "svc_tally": _fields("last_ns Q, bytes Q, sends I, epoch I"),
    "svc_control": _fields("fifo Q, epoch_ns Q, epoch I, last_process I, last_tally I, causes I"),
    "svc_interpreter": _fields("process I, reserved I, from Q, to Q"),
}
"""C struct → its fields in order: name and struct-module format."""
_UNUSED: Final = frozenset({"reserved", "padding"})


def layout(name: str) -> Struct:
    """The layout of a C struct of svc_trace.h.

    Native mode: it adds no padding to these structs, and it reads and writes each number at once, while the standard
    modes may go byte by byte. The kernel writes to some of the structs at the same time.
    """
    return Struct("@" + "".join(form for _, form in FIELDS[name]))


def _detail(name: str) -> Struct:
    """The fields of a record that follow its `event`, without the unused ones."""
    fields = FIELDS[name][1:]
    return Struct("=" + "".join(f"{calcsize(form)}x" if field in _UNUSED else form for field, form in fields))


EVENT: Final = layout("svc_event")
TASK: Final = layout("svc_task")
TALLY: Final = layout("svc_tally")
CONTROL: Final = layout("svc_control")
INTERPRETER: Final = layout("svc_interpreter")
_SOCKET_DETAIL: Final = _detail("svc_socket_event")
_TASK_DETAIL: Final = _detail("svc_task_event")
_DATA_LENGTH: Final = Struct("=I4x")  # svc_data_event's, without its event and its data
_DETAIL: Final = 1  # SVC_DETAIL
_WHOLE: Final = 2  # SVC_WHOLE
_LOCAL: Final = 4  # SVC_LOCAL
_TASK_KINDS: Final = frozenset({Kind.FORK, Kind.EXEC, Kind.EXIT, Kind.THREAD})
_DATA_KINDS: Final = frozenset({Kind.OPENING, Kind.ANSWER})
_KINDS: Final = {int(kind): kind for kind in Kind}

PROTOCOLS: Final = {
    socket.IPPROTO_TCP: "tcp",
    socket.IPPROTO_UDP: "udp",
    socket.IPPROTO_ICMP: "icmp",
    socket.IPPROTO_ICMPV6: "icmp",
    socket.IPPROTO_SCTP: "sctp",
    socket.IPPROTO_UDPLITE: "udplite",
    262: "tcp",  # IPPROTO_MPTCP
}


def decode_path(path: bytes) -> str:
    """The name of a unix socket (unix(7)): an abstract one with `@` for its leading NUL, a path up to its first NUL."""
    if path[:1] == b"\0":
        return "@" + os.fsdecode(path[1:].rstrip(b"\0")).replace("\0", "@")
    return os.fsdecode(path.split(b"\0", 1)[0])


@lru_cache(maxsize=65536)
def decode_endpoint(family: int, protocol: int, peer: bytes, port: int, path: bytes) -> Endpoint:
    """The endpoint that a record's fields name."""
    if family == socket.AF_UNIX:
        return Endpoint("unix", path=decode_path(path))
    host = canonical_host(peer if family == socket.AF_INET6 else peer[:4])
    return Endpoint(PROTOCOLS.get(protocol, f"ip{protocol}"), host, port)


def decode(data: memoryview, offset: int) -> tuple[Event, int]:
    """Decode the record that begins at `offset`; returns it with the serial number of its tally, 0 for none."""
    (ns, inode, result, process, tid, network, peer, head, port, protocol, number, family, flags, head_len, tally,
     generation, cause_ns, cause_process, cause_tid, unsure_from_ns, unsure_to_ns,
     ) = EVENT.unpack_from(data, offset)  # fmt: skip
    kind, local = _KINDS[number], flags & _LOCAL != 0
    # The events' fields by position: keywords cost 0.1 µs of the 1.2 µs.
    if kind in _TASK_KINDS:
        start_ns, lineage_ns, parent, host_pid, pid, pidns, comm = _TASK_DETAIL.unpack_from(data, offset + EVENT.size)
        command = comm.split(b"\0", 1)[0].decode(errors="replace")
        task = TaskEvent(
            ns, kind, process, tid, parent, pid, host_pid, pidns, start_ns, command, result, lineage_ns, generation
        )
        return task, 0
    if not flags & _DETAIL:
        endpoint = decode_endpoint(family, protocol, peer, port, b"")
        prefix = b""
        if kind in _DATA_KINDS:
            (length,) = _DATA_LENGTH.unpack_from(data, offset + EVENT.size)
            begin = offset + EVENT.size + _DATA_LENGTH.size
            prefix = bytes(data[begin : begin + length])
        event = SocketEvent(
            ns, kind, process, tid, inode, network, endpoint, result, b"", prefix, 0, HostPid(0), UNKNOWN_GENERATION,
            local, 1, 0, cause_ns, cause_process, cause_tid, unsure_from_ns, unsure_to_ns
        )  # fmt: skip
        return event, 0
    since_ns, peer_pid, path_len, prefix_len, prefix, path = _SOCKET_DETAIL.unpack_from(data, offset + EVENT.size)
    endpoint = decode_endpoint(family, protocol, peer, port, path[:path_len])
    head, prefix = head[:head_len], prefix[:prefix_len]
    if flags & _WHOLE:
        since_ns = 0
    event = SocketEvent(
        ns, kind, process, tid, inode, network, endpoint, result, head, prefix, since_ns, peer_pid, generation, local,
        1, 0, cause_ns, cause_process, cause_tid, unsure_from_ns, unsure_to_ns
    )  # fmt: skip
    return event, tally
