"""The backend for kernels that do not describe their types: bcc compiles the same probes on the machine they run on.

bcc is the distribution's, which a virtual environment does not show; PyPI's `bcc` is another program altogether.
"""

from __future__ import annotations

import json
import mmap
import os
import socket
import subprocess
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from struct import Struct
from typing import Final

from tracer.errors import SvcTraceError, cannot_trace
from tracer.record.capture.bpf import bcc_loader, delivery
from tracer.record.capture.bpf.bcc_loader import Loaded
from tracer.record.capture.bpf.delivery import Delivering, Delivery
from tracer.record.capture.bpf.libbpf import NO_PROBES, forbidden, not_root
from tracer.record.capture.bpf.ringbuf import possible_cpus
from tracer.record.capture.doctor.checks import Check

_GIVEN: Final = Struct("@QII")  # svc_given (probes/svc_trace.bcc.c): registers, root, root_pidns
_ENVIRONMENT: Final = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}
"""The loader's. It is root, and the command's user has no say in what it does."""
_LOADER: Final = (sys.executable, "-I", "-S", bcc_loader.__file__)
_INSTALL_BCC: Final = (
    "apt-get install python3-bpfcc (Debian, Ubuntu) or dnf install python3-bcc (Fedora); "
    "PyPI's package named bcc is something else"
)


class BccCapture(Delivering):
    """`Capture` by programs that bcc compiles for the running kernel."""

    name = "bcc"
    blind_to: frozenset[str] = frozenset()

    def __init__(self) -> None:
        super().__init__()
        self._given: mmap.mmap | None = None
        self._links: list[int] = []  # what holds the programs to what they are attached to

    @staticmethod
    def checks() -> Iterable[Check]:
        """Whether there is a compiler, and what tells it the kernel's types."""
        packages = bcc_loader.installed()
        yield Check("bcc", packages is not None, f"in {packages}" if packages else "not installed", _INSTALL_BCC)
        types = str(bcc_loader.BTF) if bcc_loader.BTF.exists() else bcc_loader.kernel_headers()
        yield Check("kernel types", types is not None, types or "neither BTF nor headers", _install_headers())

    def start(self) -> None:
        """Compile, load and attach, in a process of its own; takes about a second.

        Raises:
            SvcTraceError: not-root, no-probes, no-bcc, no-kernel-headers, kernel-too-old, bpf-forbidden,
                compile-failed or load-failed.
        """
        if os.geteuid() != 0:
            raise not_root()
        if not bcc_loader.SOURCES.exists():
            raise cannot_trace(f"the text of the probes is missing: {bcc_loader.SOURCES}", NO_PROBES, "no-probes")
        loaded = _load()
        self._programs, self._links = loaded.programs, loaded.links
        try:
            events, lost, tallies, control, given = loaded.maps
            self._delivery = Delivery(events, lost, tallies, control)
            self._delivery.begin()
            self._given = mmap.mmap(given, mmap.PAGESIZE)
        except BaseException:
            self.close()
            raise
        finally:
            for descriptor in loaded.maps:
                os.close(descriptor)

    def plant(self, pid: int) -> None:
        """Let the stopped child `pid` be the root of the tree, from when it executes the command."""
        assert self._given is not None
        registers, *_ = _GIVEN.unpack_from(self._given)
        _GIVEN.pack_into(self._given, 0, registers, pid, Path(f"/proc/{pid}/ns/pid").stat().st_ino)

    def close(self) -> None:
        """Detach the programs, unmap and free."""
        for descriptors in (self._links, self._programs):
            while descriptors:
                os.close(descriptors.pop())
        super().close()
        if self._given is not None:
            self._given.close()
            self._given = None


def _load() -> Loaded:
    """Run the loader; what it hands over."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours:
        with theirs:
            loader = subprocess.run(
                [*_LOADER, str(possible_cpus()), str(delivery.RING_BYTES), str(theirs.fileno())],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                pass_fds=(theirs.fileno(),),
                cwd="/",
                env=_ENVIRONMENT,
                check=False,
            )
        message, descriptors, *_ = socket.recv_fds(ours, 1 << 16, 64, socket.MSG_CMSG_CLOEXEC)
    said = loader.stdout.decode(errors="replace").splitlines()
    if not message:
        raise _failure("compile-failed", f"the compiler ended with status {loader.returncode}", said)
    answer = json.loads(message)
    if answer["failure"]:
        slug, detail = answer["failure"]
        raise _failure(slug, detail, said)
    maps, programs = len(bcc_loader.MAPS), answer["programs"]
    return Loaded(descriptors[:maps], descriptors[maps : maps + programs], descriptors[maps + programs :])


def _failure(slug: str, detail: str, said: Sequence[str]) -> SvcTraceError:
    """The error that stands for what the loader could not do, with the line of the compiler's that tells most."""
    kernel = os.uname().release
    see_all = f"see all that is said: sudo {sys.executable} -m {bcc_loader.__name__}"
    errors = [line for line in said if any(word in line for word in ("error:", "invalid", "unbounded", "not allowed"))]
    telling = (errors or [line for line in said if line.strip()] or ["nothing more is said"])[0]
    match slug:
        case "no-bcc":
            return cannot_trace(f"bcc is not installed, or cannot be used: {detail}", _INSTALL_BCC, "no-bcc")
        case "no-kernel-headers":
            message = f"this kernel ({kernel}) does not describe its types, and its headers are not here either"
            return cannot_trace(message, _install_headers(), "no-kernel-headers")
        case "kernel-too-old":
            return cannot_trace(
                f"this kernel ({kernel}) has no {detail}", "run on Linux 6.3 or later", "kernel-too-old"
            )
        case "bpf-forbidden":
            return forbidden(detail)
        case "compile-failed":
            return cannot_trace(
                f"bcc could not compile the probes: {telling} {detail}".rstrip(), see_all, "compile-failed"
            )
    return cannot_trace(f"the kernel refused the probes ({detail}): {telling}", see_all, "load-failed")


def _install_headers() -> str:
    kernel = os.uname().release
    return f"apt-get install linux-headers-{kernel} (Debian, Ubuntu) or dnf install kernel-devel-{kernel} (Fedora)"
