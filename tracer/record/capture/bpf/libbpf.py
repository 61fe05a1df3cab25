"""The default backend: the CO-RE object, loaded through the system's libbpf.so.1."""

from __future__ import annotations

import ctypes
import errno
import os
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from ctypes import byref, c_int
from functools import partial
from struct import pack
from typing import TYPE_CHECKING, Final

from tracer.errors import ExitStatus, SvcTraceError, cannot_trace
from tracer.record.capture.bpf import features, sizes
from tracer.record.capture.bpf.clock import check_clock
from tracer.record.capture.bpf.library import Library
from tracer.record.capture.bpf.programs import (
    DATA_READY,
    OBJECT,
    RECEIVE,
    REINSTALL,
    SEND_FUNCTIONS,
    SEND_TRACEPOINT,
    TOLERATED_MISSES,
    WAKING,
    check_can_load,
    forbidden,
    may_be_missing,
)
from tracer.record.capture.checks import Check
from tracer.record.capture.protocol import COMMAND_PROCESS, Backend

if TYPE_CHECKING:
    from tracer.record.capture.bpf.session import BpfLoaded

SENDS: Final = ("tracepoint", "fexit", "kprobe")
"""The ways to observe sends, the best first."""
_KINDS: Final = {"fexit": ("fexit",), "kprobe": ("kprobe", "kretprobe")}
_SENDS_VARIABLE: Final = "SVC_TRACE_SENDS"  # for tests: one of SENDS


class LibbpfBackend(Backend):
    """`Backend` with BTF programs."""

    name = "libbpf"
    blind_to: frozenset[str] = frozenset()

    def __init__(self, sends: str | None = None, *, causes: bool = True) -> None:
        """`sends`: one of SENDS; None takes the first that this kernel has. `causes`: scripts/bench leaves them out.

        Raises:
            SvcTraceError: bad-sends.
        """
        self._causes = causes
        self._sends = sends or os.environ.get(_SENDS_VARIABLE)
        if self._sends and self._sends not in SENDS:
            raise SvcTraceError(
                f"{_SENDS_VARIABLE} is {self._sends!r}",
                hint=f"Remove this variable, or set it to one of {', '.join(SENDS)}.",
                slug="bad-sends",
                exit_code=ExitStatus.USAGE,
            )

    def checks(self) -> Iterator[Check]:
        """The compiled probes, the library that loads them, and what they need of the kernel."""
        yield Check("probes", OBJECT.exists(), str(OBJECT), REINSTALL)
        try:
            library = Library()
        except SvcTraceError as error:
            yield Check("libbpf", False, error.message, error.hint)
            return
        yield Check("libbpf", True, f"libbpf.so.1, version {library.version().decode().removeprefix('v')}")
        yield features.btf()
        yield features.task_storage(library)
        yield from features.send_checks(library)

    def prepare(self) -> None:
        """Import what `start` needs after the kernel has verified the probes."""
        from tracer.record.capture.bpf import session, wake_ups  # noqa: F401

    def start(self) -> BpfLoaded:
        """Load and attach; takes some tens of milliseconds.

        Raises:
            SvcTraceError: not-root, no-probes, wrong-clock, no-libbpf, no-btf, kernel-lacks, bpf-forbidden or
                load-failed.
        """
        check_can_load(OBJECT)
        check_clock()
        library = Library()
        with ExitStack() as resources:
            loaded, sends = load(library, self._sends, causes=self._causes)
            resources.callback(library.close, loaded)
            programs = _attach(library, loaded, sends, resources)
            # Imported here: at the top, these would delay the start.
            from tracer.record.capture.bpf.session import BpfLoaded, Maps
            from tracer.record.capture.bpf.wake_ups import with_trial

            *maps, tasks = (
                library.map_fd(library.find_map(loaded, name))
                for name in (b"events", b"lost", b"tallies", b".data", b"interpreters", b"tasks")
            )
            set_root = partial(_set_root, library, tasks)
            probes = BpfLoaded(self.name, Maps(*maps), programs, set_root, resources, wakes=True)
            return with_trial(probes, causes=_observes_wake_ups(library, loaded))


def load(library: Library, wanted: str | None, *, causes: bool = True) -> tuple[int, str]:
    """Load what this kernel can run: the programs of the `wanted` way to observe sends, by default the best.

    With `causes`, also those at wake-ups, unless the kernel refuses them.

    The best way is tried before the kernel is asked what it has, because asking takes as long. Returns the object and
    the way.
    """
    sends = wanted or SENDS[0]
    try:
        return _open(library, sends, causes=causes), sends
    except OSError as error:
        if not wanted and (available := _best_available(library)) != sends:
            return load(library, available, causes=causes)
        with suppress(OSError):
            return _open(library, sends, causes=False), sends
        raise _load_error(library, sends, error.errno or 0) from None


def _observes_wake_ups(library: Library, loaded: int) -> bool:
    programs = library.programs(loaded)
    return any(library.autoload(program) for program in programs if library.name(program).decode() == WAKING)


def _open(library: Library, sends: str, *, causes: bool = True) -> int:
    """Open the object and load the programs of one way to observe sends; with `causes`, also those at wake-ups.

    Raises:
        OSError: the kernel refused.
    """
    opened: int | None = library.open(os.fsencode(OBJECT), None)
    if not opened:
        raise OSError(ctypes.get_errno(), "open")
    library.set_max_entries(library.find_map(opened, b"events"), sizes.RING_BYTES)
    library.set_max_entries(library.find_map(opened, b"lost"), sizes.possible_cpus())
    for program in library.programs(opened):
        name = library.name(program).decode()
        if name == RECEIVE and sends == SENDS[0]:
            library.set_autoload(program, True)
        if causes and (name == WAKING or (name == DATA_READY and sends == SENDS[0])):  # both tracepoints are of 6.3
            library.set_autoload(program, True)
    if sends != SENDS[0]:
        _select(library, opened, sends)
    if code := -int(library.load(opened)):
        library.close(opened)
        raise OSError(code, "load")
    return opened


def _select(library: Library, opened: int, sends: str) -> None:
    """Select the programs at this kernel's send functions in place of the one at SEND_TRACEPOINT.

    A function that has to exist but is not found stays selected: libbpf also searches modules, and reports its name.
    """
    existing = library.functions(SEND_FUNCTIONS.keys())
    for program in library.programs(opened):
        kind, _, target = library.section(program).decode().partition("/")
        if target == SEND_TRACEPOINT:
            library.set_autoload(program, False)
        elif kind in _KINDS[sends]:
            library.set_autoload(program, target in existing or not may_be_missing(target))
    if sends == "kprobe":
        library.set_max_entries(library.find_map(opened, b"sockets_by_address"), sizes.SOCKETS)
        library.set_value(library.find_map(opened, b".rodata.way"), b"\x01", 1)


def _best_available(library: Library) -> str:
    missing = []
    for sends, check in zip(SENDS, features.send_checks(library), strict=True):
        if check.answer is not False:
            return sends
        missing.append(f"{check.name} ({check.detail})")
    raise cannot_trace(
        f"this kernel ({os.uname().release}) has no way to observe sends: no {', no '.join(missing)}",
        "Run it on Linux 6.3 or later, or with another backend: --backend strace.",
        "kernel-lacks",
    )


def _attach(library: Library, loaded: int, sends: str, resources: ExitStack) -> list[int]:
    """Attach the selected programs; returns the descriptors of those whose missed calls are lost events."""
    programs = [program for program in library.programs(loaded) if library.autoload(program)]
    sections = {program: library.section(program).decode() for program in programs}
    entered = {section.partition("/")[2] for section in sections.values()} & SEND_FUNCTIONS.keys()
    for program, section in sections.items():
        if section == "kretprobe":  # one program for the ends of all functions
            links = [library.attach_kprobe(program, True, target.encode()) for target in entered]
        else:
            links = [library.attach(program)]
        code = ctypes.get_errno()
        for link in filter(None, links):
            resources.callback(library.destroy_link, link)
        if None in links:
            raise _load_error(library, sends, code)
    return [
        library.program_fd(program) for program in programs if library.name(program).decode() not in TOLERATED_MISSES
    ]


def _load_error(library: Library, sends: str, code: int) -> SvcTraceError:
    """What this machine lacks; failing that, libbpf's own message."""
    kernel = f"this kernel ({os.uname().release})"
    check = features.btf()
    if not check.answer:
        return cannot_trace(f"{kernel} does not describe its types: {check.detail}", check.remedy or "", "no-btf")
    if name := features.forbidden(library):
        return forbidden(name)
    check = features.task_storage(library)
    if check.answer is False:
        return cannot_trace(f"{kernel} has no task storage for BTF programs", check.remedy or "", "kernel-lacks")

    def try_again() -> None:
        with suppress(OSError):
            library.close(_open(library, sends))

    name = errno.errorcode.get(code, str(code))
    hint = "Report this with the kernel's version and the line above."
    if code == errno.EPERM:
        hint = "Check the kernel's lockdown (/sys/kernel/security/lockdown): `confidentiality` forbids all probes."
    message = f"the kernel refused the probes ({name}): {library.messages(try_again)}"
    return cannot_trace(message, hint, "load-failed")


def _set_root(library: Library, tasks: int, pid: int) -> None:
    """Give the stopped child `pid` an entry in the map `tasks`."""
    from tracer.record.capture.bpf.wire import TASK

    pidfd = os.pidfd_open(pid)
    try:
        value = pack("II", COMMAND_PROCESS, pid).ljust(TASK.size, b"\0")  # its first fields: process, tid
        if library.update(tasks, byref(c_int(pidfd)), value, 0):
            code = ctypes.get_errno()
            raise OSError(code, f"cannot trace process {pid}: {os.strerror(code)}")
    finally:
        os.close(pidfd)
