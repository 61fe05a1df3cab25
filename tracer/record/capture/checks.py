"""Answers to questions about this machine, and the questions that concern more than one backend."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

_LOCKDOWN: Final = Path("/sys/kernel/security/lockdown")
_PTRACE_SCOPE: Final = Path("/proc/sys/kernel/yama/ptrace_scope")
_CAP_SYS_PTRACE, _CAP_SYS_ADMIN, _CAP_PERFMON, _CAP_BPF = 19, 21, 38, 39  # linux/capability.h
_INITIAL_USERS: Final = ["0", "0", "4294967295"]
"""The uid_map of the initial user namespace (user_namespaces(7)): BPF needs capabilities there."""


class Check(NamedTuple):
    """The answer to one question about this machine."""

    name: str  # stable: the question's subject, a word or two
    answer: bool | None  # None: unknown, only a trial can show it
    detail: str  # what this machine has
    remedy: str | None = None  # what to do if the answer is no


def machine_checks() -> Iterator[Check]:
    """Every check of this module."""
    yield root()
    yield container()
    yield lockdown()
    yield ptrace_scope()
    yield cgroup()


def root() -> Check:
    """Whether this user may load BPF programs."""
    uid = os.geteuid()
    return Check("root", uid == 0, "you are root" if uid == 0 else f"you are user {uid}", "Run it with sudo.")


def root_may_load_bpf() -> bool:
    """Whether a program such as sudo could give an ordinary user's process what BPF needs (capabilities(7))."""
    bounding = int(_status("CapBnd"), 16)
    capable = bounding >> _CAP_SYS_ADMIN & 1 or (bounding >> _CAP_BPF & bounding >> _CAP_PERFMON & 1)
    initial = Path("/proc/self/uid_map").read_text().split() == _INITIAL_USERS
    return bool(capable) and initial and _status("NoNewPrivs") == "0" and lockdown().answer is not False


def _status(field: str) -> str:
    """A field of /proc/self/status (proc_pid_status(5)); 0 if this kernel has none of this name."""
    found = re.search(rf"^{field}:\s*(\S+)", Path("/proc/self/status").read_text(), re.MULTILINE)
    return found[1] if found else "0"


def lockdown() -> Check:
    """Whether the kernel lets root's BPF programs read its memory (kernel_lockdown(7))."""
    try:
        state = re.search(r"\[(\w+)\]", _LOCKDOWN.read_text())
    except FileNotFoundError:
        if Path("/sys/kernel/security/lsm").exists():
            return Check("lockdown", True, "this kernel has none")
        remedy = "Mount it: mount -t securityfs securityfs /sys/kernel/security."
        return Check("lockdown", None, "securityfs is not mounted", remedy)
    except OSError as error:
        return Check("lockdown", None, f"{_LOCKDOWN}: {error.strerror}", "Ask as root.")
    level = state[1] if state else "unknown"
    return Check("lockdown", level != "confidentiality", level, "Boot without lockdown=confidentiality.")


def container() -> Check:
    """Whether this is a container: it can forbid BPF and ptrace, and it hides the host's files."""
    kind = _container()
    if kind is None:
        return Check("container", True, "none")
    remedy = "Start it with --privileged for BPF, or with --cap-add SYS_PTRACE for strace, if the trial fails."
    return Check("container", None, f"{kind}, which may forbid tracing", remedy)


def _container() -> str | None:
    """The kind of container around this process, as systemd-detect-virt(1) finds it."""
    for path, kind in (("/.dockerenv", "Docker"), ("/run/.containerenv", "Podman")):
        if Path(path).exists():
            return kind
    try:
        named = re.search(rb"(?:^|\0)container=([\w.-]+)", Path("/proc/1/environ").read_bytes())
    except OSError:
        named = None  # another user's
    if named:
        return named[1].decode()
    groups = Path("/proc/1/cgroup").read_text() if os.access("/proc/1/cgroup", os.R_OK) else ""
    manager = re.search(r"kubepods|docker|containerd|lxc|libpod", groups)
    return manager[0] if manager else None


def ptrace_scope() -> Check:
    """Whether strace may trace a command that it starts (Documentation/admin-guide/LSM/Yama.rst)."""
    try:
        scope = int(_PTRACE_SCOPE.read_text())
    except FileNotFoundError:
        return Check("ptrace scope", True, "this kernel has no Yama")
    except (OSError, ValueError) as error:
        return Check("ptrace scope", None, f"{_PTRACE_SCOPE}: {error}")
    meaning = {0: "0, own processes", 1: "1, descendants", 2: "2, for administrators", 3: "3, no tracing"}
    capable = int(_status("CapEff"), 16) >> _CAP_SYS_PTRACE & 1
    allowed = scope < 2 or (scope == 2 and bool(capable))
    remedy = "Set it to 1: sysctl kernel.yama.ptrace_scope=1." if scope == 2 else "Reboot: it cannot be lowered from 3."
    return Check("ptrace scope", allowed, meaning.get(scope, str(scope)), remedy)


def cgroup() -> Check:
    """Where cgroup v2 is mounted: BPF programs for sockets can be attached there (cgroups(7))."""
    for line in Path("/proc/self/mounts").read_text().splitlines():
        _, where, kind, *_ = line.split(" ")
        if kind == "cgroup2":
            return Check("cgroup v2", True, where)
    return Check("cgroup v2", False, "not mounted", "Mount it: mount -t cgroup2 none /sys/fs/cgroup/unified.")
