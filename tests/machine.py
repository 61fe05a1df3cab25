"""The features that this machine can have."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Final

from tracer.record.capture.bpf import features
from tracer.record.capture.bpf.library import Library


@cache
def _bpf() -> str | None:
    if os.geteuid() != 0:
        return "only root can load BPF programs"
    if reason := _btf():
        return reason
    if features.task_storage(Library()).answer is False:
        return "the kernel has no task storage"
    lockdown = Path("/sys/kernel/security/lockdown")
    if lockdown.exists() and "[confidentiality]" in lockdown.read_text():
        return "the kernel is locked down"
    return None


def _btf() -> str | None:
    return None if Path("/sys/kernel/btf/vmlinux").exists() else "the kernel has no BTF"


def _namespaces() -> str | None:
    return None if os.geteuid() == 0 else "only root can create namespaces"


def _io_uring() -> str | None:
    disabled = Path("/proc/sys/kernel/io_uring_disabled")
    return "io_uring is disabled" if disabled.exists() and disabled.read_text().strip() == "2" else None


def _ipv6() -> str | None:
    return None if Path("/proc/net/if_inet6").exists() else "the kernel has no IPv6"


def _ia32() -> str | None:
    return None if Path("/proc/sys/abi/vsyscall32").exists() else "the kernel runs no 32-bit programs for x86"


def _mptcp() -> str | None:
    return None if Path("/proc/sys/net/mptcp/enabled").exists() else "the kernel has no MPTCP"


def _release() -> tuple[int, ...]:
    return tuple(int(part) for part in os.uname().release.split(".")[:2])


def _answers() -> str | None:
    return None if _release() >= (6, 3) else "before Linux 6.3, no tracepoint shows what a process reads"


def _unix_programs() -> str | None:
    return None if _release() >= (6, 7) else "before Linux 6.7, no program is called when unix sockets connect"


_LACKS: Final[Mapping[str, Callable[[], str | None]]] = {
    "bpf": _bpf,
    "btf": _btf,
    "namespaces": _namespaces,
    "io_uring": _io_uring,
    "ipv6": _ipv6,
    "ia32": _ia32,
    "mptcp": _mptcp,
    "answers": _answers,
    "unix_programs": _unix_programs,
}


def lacks(feature: str) -> str | None:
    """The reason why this machine cannot have a feature; None if it should have it, so that tests of it must pass."""
    return _LACKS[feature]()
