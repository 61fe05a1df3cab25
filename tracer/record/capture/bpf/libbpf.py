"""The default backend: the CO-RE object, loaded through the system's libbpf.so.1."""

from __future__ import annotations

import ctypes
import errno
import os
import re
import sys
from collections.abc import Iterable
from ctypes import byref, c_int
from pathlib import Path
from typing import Final

from tracer.errors import SvcTraceError, cannot_trace
from tracer.record.capture.bpf import features
from tracer.record.capture.bpf.delivery import RING_BYTES, Delivering, Delivery
from tracer.record.capture.bpf.library import Library
from tracer.record.capture.bpf.ringbuf import possible_cpus
from tracer.record.capture.bpf.wire import TASK
from tracer.record.capture.doctor.checks import Check
from tracer.record.capture.protocol import COMMAND_PROCESS

NO_PROBES: Final = "reinstall svc-trace: pip builds them with clang (apt-get install clang llvm libbpf-dev)"
OBJECT: Final = Path(__file__).with_name("svc_trace.bpf.o")

SENDS: Final = ("tracepoint", "fexit", "kprobe")
"""The ways in which the kernel may tell what is sent, the best first."""
_KINDS: Final = {"fexit": ("fexit",), "kprobe": ("kprobe", "kretprobe")}
_NOBODYS_LOSS: Final = (b"socket_state", b"socket_state_again")
"""Programs of which the kernel may miss calls: they stand in for each other."""
_SENDING: Final = re.compile(r"_send(msg|page)$")
SOCKETS: Final = 65536
"""How many can be told apart at a time where kprobes tell the sends; what is more is counted as lost."""
_SENDS_VARIABLE: Final = "SVC_TRACE_SENDS"  # for tests: one of SENDS
_IPV6: Final = Path("/proc/net/if_inet6")


def _may_be_missing(function: str) -> bool:
    """Of the functions that send: sendpage went with Linux 6.5, and IPv6 is not everywhere."""
    return function.endswith("_sendpage") or (function == "inet6_sendmsg" and not _IPV6.exists())


class LibbpfCapture(Delivering):
    """`Capture` by programs with BTF."""

    name = "libbpf"
    blind_to: frozenset[str] = frozenset()

    def __init__(self, sends: str | None = None) -> None:
        """`sends`: one of SENDS; None takes the first that this kernel has."""
        super().__init__()
        self.sends = sends or os.environ.get(_SENDS_VARIABLE)
        self._library: Library | None = None
        self._object: int | None = None
        self._links: list[int] = []
        self._tasks_fd = -1

    @staticmethod
    def checks() -> Iterable[Check]:
        """The compiled probes, the library that loads them, and what they ask of the kernel."""
        yield Check("probes", OBJECT.exists(), str(OBJECT), NO_PROBES)
        try:
            library = Library()
        except SvcTraceError as error:
            yield Check("libbpf", False, error.message, error.hint)
            return
        yield Check("libbpf", True, "libbpf.so.1")
        yield from features.kernel_checks(library)

    def start(self) -> None:
        """Load and attach; takes some tens of milliseconds.

        Raises:
            SvcTraceError: not-root, no-libbpf, no-probes, no-btf, kernel-lacks or load-failed.
        """
        if os.geteuid() != 0:
            raise not_root()
        if not OBJECT.exists():
            raise cannot_trace(
                f"the compiled probes are missing: {OBJECT}",
                NO_PROBES,
                "no-probes",
            )
        self._library = Library()
        try:
            self._load(self._library)
            self._map(self._library)
            self._attach(self._library)
        except BaseException:
            self.close()
            raise

    def _load(self, library: Library) -> None:
        """Load what this kernel can run. The best is tried before anything is asked: to ask takes as long."""
        wanted = self.sends
        self.sends = wanted or SENDS[0]
        code = self._try(library)
        if code and not wanted and (way := self._way(library)) != self.sends:
            self.sends = way
            code = self._try(library)
        if code:
            raise self._load_error(library, code)

    @staticmethod
    def _way(library: Library) -> str:
        lacking = []
        for way, check in zip(SENDS, features.send_checks(library), strict=True):
            if check.answer is not False:
                return way
            lacking.append(f"{check.name} ({check.detail})")
        raise cannot_trace(
            f"this kernel ({os.uname().release}) lets nobody see what is sent: no {', no '.join(lacking)}",
            "run on Linux 6.3 or later, or take another backend: --backend strace",
            "kernel-lacks",
        )

    def _try(self, library: Library) -> int:
        """Open the object and load the programs that belong to the way of sends; 0 or an errno."""
        if self._object:
            library.close(self._object)
        self._object = library.open(os.fsencode(OBJECT), None)
        if not self._object:
            return ctypes.get_errno()
        library.set_max_entries(library.find_map(self._object, b"events"), RING_BYTES)
        library.set_max_entries(library.find_map(self._object, b"lost"), possible_cpus())
        if self.sends is not None and self.sends != SENDS[0]:
            self._select(library, self._object, self.sends)
        return -int(library.load(self._object))

    def _select(self, library: Library, loaded: int, sends: str) -> None:
        """Instead of the tracepoint at the end of every send, take the functions that this kernel sends by.

        What has to be there but is not found stays selected: libbpf looks into modules too, and names what it misses.
        """
        sections = {program: library.section(program).decode().partition("/") for program in library.programs(loaded)}
        found = library.functions({target for _, _, target in sections.values()})
        for program, (kind, _, target) in sections.items():
            if target == features.SEND_TRACEPOINT:
                library.set_autoload(program, False)
            elif kind in _KINDS[sends]:
                library.set_autoload(program, target in found or not _may_be_missing(target))
        if sends == "kprobe":
            library.set_max_entries(library.find_map(loaded, b"sockets_by_address"), SOCKETS)
            library.set_value(library.find_map(loaded, b".rodata.way"), b"\x01", 1)

    def _map(self, library: Library) -> None:
        *maps, self._tasks_fd = (
            library.map_fd(library.find_map(self._object, name))
            for name in (b"events", b"lost", b"tallies", b".data", b"tasks")
        )
        self._delivery = Delivery(*maps)

    def _attach(self, library: Library) -> None:
        assert self._object is not None
        programs = [program for program in library.programs(self._object) if library.autoload(program)]
        sections = {program: library.section(program).decode() for program in programs}
        entered = [section.partition("/")[2] for section in sections.values() if _SENDING.search(section)]
        for program, section in sections.items():
            if section == "kretprobe":
                links = [library.attach_kprobe(program, True, target.encode()) for target in entered]
            else:
                links = [library.attach(program)]
            self._links += filter(None, links)
            if None in links:
                raise self._load_error(library, ctypes.get_errno())
            if library.name(program) not in _NOBODYS_LOSS:
                self._programs.append(library.program_fd(program))

    def _load_error(self, library: Library, code: int) -> SvcTraceError:
        kernel = f"this kernel ({os.uname().release})"
        check = features.btf()
        if not check.answer:
            return cannot_trace(f"{kernel} does not describe its types: {check.detail}", check.remedy or "", "no-btf")
        if name := features.forbidden(library):
            return forbidden(name)
        check = features.task_storage(library)
        if check.answer is False:
            return cannot_trace(
                f"{kernel} keeps no data for tasks in programs with BTF", check.remedy or "", "kernel-lacks"
            )
        name = errno.errorcode.get(code, str(code))
        complaint = library.complaint(lambda: self._try(library))
        hint = "please report this with the kernel's version and the line above"
        if code == errno.EPERM:
            hint = "check kernel lockdown (/sys/kernel/security/lockdown): `confidentiality` lets no probe read"
        return cannot_trace(f"the kernel refused the probes ({name}): {complaint}", hint, "load-failed")

    def plant(self, pid: int) -> None:
        """Make the stopped child `pid` the root of the tree: its threads' entries come from fork."""
        assert self._library is not None
        pidfd = os.pidfd_open(pid)
        try:
            value = TASK.pack(COMMAND_PROCESS, pid, *[0] * 9, b"")
            if self._library.update(self._tasks_fd, byref(c_int(pidfd)), value, 0):
                code = ctypes.get_errno()
                raise OSError(code, f"cannot trace process {pid}: {os.strerror(code)}")
        finally:
            os.close(pidfd)

    def close(self) -> None:
        """Detach the programs, unmap and free."""
        self._programs.clear()
        if self._library is not None:
            while self._links:
                self._library.destroy_link(self._links.pop())
        super().close()
        if self._library is not None and self._object:
            self._library.close(self._object)
            self._object = None


def forbidden(code: str) -> SvcTraceError:
    """The error of a run that is not allowed to load the least program; `code` is the kernel's, as EPERM."""
    return cannot_trace(f"the kernel forbids BPF here ({code})", features.ALLOW_BPF, "bpf-forbidden")


def not_root() -> SvcTraceError:
    """The error of a run that lacks privilege."""
    program = Path(sys.argv[0]).absolute()
    return cannot_trace(
        "asking the kernel needs root",
        f"run it with sudo: sudo {program} -- COMMAND (the command itself then runs as you)",
        "not-root",
    )
