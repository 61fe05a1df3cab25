"""What this kernel has for the probes: each question is put to the kernel, none to its version number."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from tracer.record.capture.bpf.library import FENTRY, RAW_TRACEPOINT, Library
from tracer.record.capture.doctor.checks import Check

SEND_TRACEPOINT: Final = "sock_send_length"
SEND_FUNCTION: Final = "inet_sendmsg"

ALLOW_BPF: Final = "run as root outside a container, or in one with --privileged"
"""The remedy where `forbidden`."""

_BTF: Final = Path("/sys/kernel/btf/vmlinux")
_EVENT_SOURCES: Final = Path("/sys/bus/event_source/devices")
_KPROBE_PROGRAM: Final = 2  # BPF_PROG_TYPE_KPROBE, which may call what programs with BTF may, and can be asked for
_TASK_STORAGE: Final = 156  # BPF_FUNC_task_storage_get: enum bpf_func_id (include/uapi/linux/bpf.h)


def kernel_checks(library: Library) -> Iterator[Check]:
    """All that the probes ask for; of the ways to see what is sent, one is enough."""
    yield btf()
    yield task_storage(library)
    yield from send_checks(library)


def send_checks(library: Library) -> Iterator[Check]:
    """The ways to see what is sent, the best first."""
    yield tracepoint(library, SEND_TRACEPOINT)
    yield fentry(library)
    yield kprobes()


def btf() -> Check:
    """Whether the kernel describes its types, to which the probes are fitted."""
    if _BTF.exists():
        return Check("BTF", True, str(_BTF))
    remedy = "run on a kernel built with CONFIG_DEBUG_INFO_BTF: Debian 11, Ubuntu 20.10 and later have it"
    return Check("BTF", False, f"no {_BTF}", remedy)


def tracepoint(library: Library, name: str) -> Check:
    """Whether programs with BTF can be attached to a tracepoint."""
    found = library.kernel_type(name.encode(), RAW_TRACEPOINT)
    if found > 0:
        return Check(f"tracepoint {name}", True, "yes")
    if found == -errno.ENOENT:
        return Check(f"tracepoint {name}", False, "this kernel has none", "run on Linux 6.3 or later")
    return Check(f"tracepoint {name}", None, f"couldn't read the kernel's types ({_name(-found)})", btf().remedy)


def fentry(library: Library) -> Check:
    """Whether programs can be attached to a function's entry and end: one that does nothing is, for a moment."""
    if code := forbidden(library):
        return Check("fentry", None, f"couldn't try: the kernel forbids BPF ({code})", ALLOW_BPF)
    remedy = "run on a kernel built with CONFIG_FUNCTION_TRACER; on arm64 from Linux 6.0"
    program = library.load_nothing(FENTRY, library.kernel_type(SEND_FUNCTION.encode(), FENTRY))
    if program < 0:
        return Check("fentry", False, f"the kernel refuses it ({_name(-program)})", remedy)
    link = library.open_raw_tracepoint(None, program)
    os.close(program)
    if link < 0:
        return Check("fentry", False, f"the kernel refuses to attach it ({_name(-link)})", remedy)
    os.close(link)
    return Check("fentry", True, "yes")


def forbidden(library: Library) -> str | None:
    """The error with which nothing can be tried here: what every kernel with BTF can load is refused."""
    program = library.load_nothing(RAW_TRACEPOINT, library.kernel_type(b"sched_process_exec", RAW_TRACEPOINT))
    if program < 0:
        return _name(-program)
    os.close(program)
    return None


def kprobes() -> Check:
    """Whether programs can be attached to a function by a breakpoint."""
    remedy = "run on a kernel built with CONFIG_KPROBE_EVENTS"
    if not _EVENT_SOURCES.exists():
        return Check("kprobes", None, f"no {_EVENT_SOURCES}", "mount -t sysfs sysfs /sys")
    if (_EVENT_SOURCES / "kprobe").exists():
        return Check("kprobes", True, "yes")
    return Check("kprobes", False, "this kernel is built without them", remedy)


def task_storage(library: Library) -> Check:
    """Whether a program with BTF can keep data for a task, which is how the tree is followed."""
    if code := forbidden(library):
        return Check("task storage", None, f"couldn't try: the kernel forbids BPF ({code})", ALLOW_BPF)
    answer = library.probe_helper(_KPROBE_PROGRAM, _TASK_STORAGE, None)
    if answer < 0:
        return Check("task storage", None, f"couldn't ask ({_name(-answer)})")
    if answer == 0:
        return Check("task storage", False, "this kernel has none", "run on Linux 5.13 or later")
    return Check("task storage", True, "yes")


def _name(code: int) -> str:
    return errno.errorcode.get(code, {524: "ENOTSUPP"}.get(code, str(code)))
