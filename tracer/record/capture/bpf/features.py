"""What this kernel has for the probes, by trying it: no answer depends on the kernel's version number."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from tracer.record.capture.bpf.library import FENTRY, RAW_TRACEPOINT, Library
from tracer.record.capture.bpf.programs import ALLOW_BPF, BTF, SEND_TRACEPOINT
from tracer.record.capture.checks import Check

_SEND_FUNCTION: Final = "inet_sendmsg"

_EVENT_SOURCES: Final = Path("/sys/bus/event_source/devices")
_KPROBE_PROGRAM: Final = 2  # BPF_PROG_TYPE_KPROBE may call the same functions as a BTF program, and can be probed
_TASK_STORAGE: Final = 156  # BPF_FUNC_task_storage_get: enum bpf_func_id (include/uapi/linux/bpf.h)


def send_checks(library: Library) -> Iterator[Check]:
    """The ways to observe sends, the best first; one is enough."""
    yield tracepoint(library, SEND_TRACEPOINT)
    yield fentry(library)
    yield kprobes()


def btf() -> Check:
    """Whether the kernel describes its types: libbpf adapts the probes to them."""
    if BTF.exists():
        return Check("BTF", True, str(BTF))
    remedy = "Run it on a kernel with CONFIG_DEBUG_INFO_BTF, such as that of Debian 11, Ubuntu 20.10 or later."
    return Check("BTF", False, f"no {BTF}", remedy)


def tracepoint(library: Library, name: str) -> Check:
    """Whether BTF programs can be attached to a tracepoint."""
    number = library.kernel_type(name.encode(), RAW_TRACEPOINT)
    if number > 0:
        return Check(f"tracepoint {name}", True, "yes")
    if number == -errno.ENOENT:
        return Check(f"tracepoint {name}", False, "this kernel has none", "Run it on Linux 6.3 or later.")
    return Check(f"tracepoint {name}", None, f"couldn't read the kernel's types ({_name(-number)})", btf().remedy)


def fentry(library: Library) -> Check:
    """Whether programs can be attached to a function's entry and end; attaches an empty one for a moment."""
    if code := forbidden(library):
        return Check("fentry", None, f"couldn't try: the kernel forbids BPF ({code})", ALLOW_BPF)
    remedy = "Run it on a kernel with CONFIG_FUNCTION_TRACER, on arm64 Linux 6.4 or later."
    program = library.load_empty(FENTRY, library.kernel_type(_SEND_FUNCTION.encode(), FENTRY))
    if program < 0:
        return Check("fentry", False, f"the kernel refuses it ({_name(-program)})", remedy)
    link = library.open_raw_tracepoint(None, program)
    os.close(program)
    if link < 0:
        return Check("fentry", False, f"the kernel refuses to attach it ({_name(-link)})", remedy)
    os.close(link)
    return Check("fentry", True, "yes")


def forbidden(library: Library) -> str | None:
    """The errno with which the kernel refuses a program that every kernel with BTF can load; None: it loads it."""
    program = library.load_empty(RAW_TRACEPOINT, library.kernel_type(b"sched_process_exec", RAW_TRACEPOINT))
    if program < 0:
        return _name(-program)
    os.close(program)
    return None


def kprobes() -> Check:
    """Whether programs can be attached to a function by a breakpoint."""
    remedy = "Run it on a kernel with CONFIG_KPROBE_EVENTS."
    if not _EVENT_SOURCES.exists():
        return Check("kprobes", None, f"no {_EVENT_SOURCES}", "Mount it: mount -t sysfs sysfs /sys.")
    if (_EVENT_SOURCES / "kprobe").exists():
        return Check("kprobes", True, "yes")
    return Check("kprobes", False, "this kernel is built without them", remedy)


def task_storage(library: Library) -> Check:
    """Whether a BTF program can keep data for a task: the data marks the tasks of the tree."""
    if code := forbidden(library):
        return Check("task storage", None, f"couldn't try: the kernel forbids BPF ({code})", ALLOW_BPF)
    answer = library.probe_helper(_KPROBE_PROGRAM, _TASK_STORAGE, None)
    if answer < 0:
        return Check("task storage", None, f"couldn't ask ({_name(-answer)})")
    if answer == 0:
        return Check("task storage", False, "this kernel has none", "Run it on Linux 5.13 or later.")
    return Check("task storage", True, "yes")


def _name(code: int) -> str:
    return errno.errorcode.get(code, {524: "ENOTSUPP"}.get(code, str(code)))
