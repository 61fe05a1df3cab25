"""The BPF programs: where their sources and the compiled object are, and what they are attached to.

Imports only the standard library: bcc's loader has no other. Names of programs are those of probes/svc_trace.bpf.c; in
probes/svc_trace.bcc.c each has the prefix `svc_`.
"""

from __future__ import annotations

import os
import shlex
from pathlib import Path
from typing import Final

from tracer.errors import SvcTraceError, cannot_trace
from tracer.record.installation import own_command

_OBJECT = "svc_trace.bpf.o"
ALLOW_BPF = "Run it as root outside of a container, or in one with --privileged."
REINSTALL = "Reinstall svc-trace: pip builds the probes with clang (apt-get install clang llvm libbpf-dev)."


def _locate() -> tuple[Path, Path]:
    """The compiled object, and the directory of sources.

    A checkout, which an editable install uses, has them in its own `build/` and `probes/`; a wheel has copies beside
    this module (scripts/build_native.py).
    """
    package, checkout = Path(__file__).parent, Path(__file__).parents[4]
    if (checkout / "probes" / "svc_trace.bpf.c").exists():
        return checkout / "build" / _OBJECT, checkout / "probes"
    return package / _OBJECT, package / "probes"


OBJECT, SOURCES = _locate()
REFUSAL_OBJECT: Final = OBJECT.with_name("svc_refuse.bpf.o")  # of svc_refuse.bpf.c: what refuses services to the tree
BTF: Final = Path("/sys/kernel/btf/vmlinux")  # the kernel's own types

SEND_TRACEPOINT: Final = "sock_send_length"
"""The end of every send. Linux 6.3, commit 6e6eda44b939."""

TRACEPOINTS: Final = {
    "process_fork": "task_newtask",
    "process_exec": "sched_process_exec",
    "process_exit": "sched_process_exit",
    "socket_state": "inet_sock_set_state",
    "socket_state_again": "inet_sock_set_state",
    "socket_send": SEND_TRACEPOINT,
    "syscall_exit": "sys_exit",
}
"""Program → tracepoint, in both backends."""
FREEING_TRACEPOINTS: Final = {"process_free": "sched_process_free", "socket_free": "tcp_destroy_sock"}
"""Those of bcc only: its programs delete map entries that task and socket storages delete on their own."""

RECEIVE: Final = "socket_receive"
RECEIVE_TRACEPOINTS: Final = {RECEIVE: "sock_recv_length"}
"""Program → tracepoint. It is optional; Linux 6.3, commit 6e6eda44b939."""

WAKING, DATA_READY = "waking", "data_ready"
WAKE_UP_TRACEPOINTS: Final = {WAKING: "sched_waking", DATA_READY: "sk_data_ready"}
"""Program → tracepoint. They are optional; Linux 6.3, commit 40e0b0908142, added the second."""

SEND_FUNCTIONS: Final = {
    "inet_sendmsg": "send_begins",
    "inet6_sendmsg": "send_begins",
    "unix_stream_sendmsg": "send_begins",
    "unix_seqpacket_sendmsg": "send_begins",
    "unix_dgram_sendmsg": "dgram_send_begins",
    "inet_sendpage": "page_send_begins",
    "unix_stream_sendpage": "send_begins",
}
"""Function that sends, a sendmsg or sendpage of a struct proto_ops → bcc's program at its beginning.

They are attached to where the kernel lacks SEND_TRACEPOINT. Their first argument is the struct socket.
"""
_IPV6: Final = Path("/proc/net/if_inet6")

TOLERATED_MISSES: Final = frozenset(
    {"socket_state", "socket_state_again", "process_free", "socket_free", RECEIVE, WAKING, DATA_READY}
)
"""Programs whose missed calls lose no event.

The kernel skips a program that is already running on that CPU. The two programs for a socket's state do each other's
work. An entry that `process_free` or `socket_free` failed to delete is recognised as stale, or deleted when a socket at
the same address begins. A wake-up is missed only in an interrupt, where it is no cause. Without an answer of a name
server, a host has no name.
"""


def may_be_missing(function: str) -> bool:
    """Whether a kernel can lack this one of SEND_FUNCTIONS: Linux 6.5 has no sendpage, and IPv6 is optional."""
    return function.endswith("_sendpage") or (function == "inet6_sendmsg" and not _IPV6.exists())


def check_can_load(file: Path, purpose: str = "loading the probes") -> None:
    """Check for privileges, and for the OBJECT or the SOURCES that are to be loaded; the purpose is for the error.

    Raises:
        SvcTraceError: not-root or no-probes.
    """
    if os.geteuid() != 0:
        hint = f"Run it as root: {shlex.join(own_command())} --sudo -- COMMAND (the command itself then runs as you)."
        raise cannot_trace(f"{purpose} needs root", hint, "not-root")
    if not file.exists():
        raise cannot_trace(f"the probes are missing: {file}", REINSTALL, "no-probes")


def forbidden(code: str) -> SvcTraceError:
    """The error of a kernel that loads no BPF program at all; `code` is the kernel's, as EPERM."""
    return cannot_trace(f"the kernel forbids BPF here ({code})", ALLOW_BPF, "bpf-forbidden")
