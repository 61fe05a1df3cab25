"""What of this machine concerns more than one backend."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from tracer.record.capture.doctor.checks import Check

_LOCKDOWN: Final = Path("/sys/kernel/security/lockdown")
_PTRACE_SCOPE: Final = Path("/proc/sys/kernel/yama/ptrace_scope")
_CAP_SYS_PTRACE: Final = 19  # linux/capability.h


def machine_checks() -> Iterator[Check]:
    """What concerns every backend."""
    yield root()
    yield container()
    yield lockdown()
    yield ptrace_scope()
    yield cgroup()


def root() -> Check:
    """Whether BPF programs may be loaded, as far as the user decides it."""
    uid = os.geteuid()
    return Check("root", uid == 0, "you are" if uid == 0 else f"you are user {uid}", "run it with sudo")


def lockdown() -> Check:
    """Whether the kernel lets even root's BPF programs read its memory (kernel_lockdown(7))."""
    try:
        state = re.search(r"\[(\w+)\]", _LOCKDOWN.read_text())
    except FileNotFoundError:
        if Path("/sys/kernel/security/lsm").exists():
            return Check("lockdown", True, "this kernel has none")
        return Check(
            "lockdown", None, "securityfs is not mounted", "mount -t securityfs securityfs /sys/kernel/security"
        )
    except OSError as error:
        return Check("lockdown", None, f"{_LOCKDOWN}: {error.strerror}", "ask as root")
    level = state[1] if state else "unknown"
    return Check("lockdown", level != "confidentiality", level, "boot without lockdown=confidentiality")


def container() -> Check:
    """Whether a container may be in the way: it can forbid BPF and ptrace, and hides the host's files."""
    kind = _container()
    if kind is None:
        return Check("container", True, "none around us")
    remedy = "if the trial fails: --privileged for BPF, --cap-add SYS_PTRACE or the default seccomp profile for strace"
    return Check("container", None, f"within {kind}, which may forbid things", remedy)


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
    found = re.search(r"kubepods|docker|containerd|lxc|libpod", groups)
    return found[0] if found else None


def ptrace_scope() -> Check:
    """Whether strace may trace a command that it starts (Documentation/admin-guide/LSM/Yama.rst)."""
    try:
        scope = int(_PTRACE_SCOPE.read_text())
    except FileNotFoundError:
        return Check("ptrace scope", True, "Yama is not there")
    except (OSError, ValueError) as error:
        return Check("ptrace scope", None, f"{_PTRACE_SCOPE}: {error}")
    meaning = {0: "0, anybody's own", 1: "1, descendants", 2: "2, for administrators", 3: "3, nobody"}
    allowed = scope < 2 or (scope == 2 and _has_capability(_CAP_SYS_PTRACE))
    remedy = "set it to 1: sysctl kernel.yama.ptrace_scope=1" if scope == 2 else "it stays 3 until the next boot"
    return Check("ptrace scope", allowed, meaning.get(scope, str(scope)), remedy)


def _has_capability(number: int) -> bool:
    effective = re.search(r"^CapEff:\s*([0-9a-f]+)", Path("/proc/self/status").read_text(), re.MULTILINE)
    return bool(effective and int(effective[1], 16) >> number & 1)


def cgroup() -> Check:
    """Where the second version's hierarchy is, to which BPF programs for sockets can be attached (cgroups(7))."""
    for line in Path("/proc/self/mounts").read_text().splitlines():
        _, where, kind, *_ = line.split(" ")
        if kind == "cgroup2":
            return Check("cgroup v2", True, where)
    return Check("cgroup v2", False, "not mounted", "mount -t cgroup2 none /sys/fs/cgroup/unified")


def program(name: str, package: str) -> Check:
    """Whether a program is in PATH."""
    found = shutil.which(name)
    return Check(name, found is not None, found or "not in PATH", f"apt-get install {package}")
