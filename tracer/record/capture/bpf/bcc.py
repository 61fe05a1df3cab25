"""The backend for kernels that do not describe their types: bcc compiles the probes on the machine that they run on.

bcc is the distribution's package, which a virtual environment does not contain; PyPI's `bcc` is another program.
"""

from __future__ import annotations

import json
import mmap
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from struct import Struct
from typing import Final

import tracer
from tracer.errors import SvcTraceError, cannot_trace
from tracer.record.capture.bpf import bcc_loader, sizes
from tracer.record.capture.bpf.clock import check_clock
from tracer.record.capture.bpf.programs import BTF, SOURCES, check_can_load
from tracer.record.capture.bpf.session import BpfLoaded, Maps
from tracer.record.capture.bpf.wake_ups import with_trial
from tracer.record.capture.bpf.wire import CONTROL
from tracer.record.capture.checks import Check
from tracer.record.capture.protocol import Backend

_SETUP: Final = Struct("@QIIQ")  # svc_setup (probes/svc_trace.bcc.c): registers, root, root_pidns, root_until_ns
_ENVIRONMENT: Final = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}
"""The loader's: it runs as root, so the user's environment must not influence it."""
_BOOTSTRAP: Final = (
    f"import sys; sys.path.insert(0, sys.argv.pop(1)); from {bcc_loader.__name__} import main; del sys.path[0]; main()"
)
"""Imports the loader from this installation, and nothing more of it: it may contain PyPI's bcc."""
_LOADER: Final = (sys.executable, "-I", "-S", "-B", "-c", _BOOTSTRAP, str(Path(tracer.__file__).parents[1]))


class BccBackend(Backend):
    """`Backend` with programs that bcc compiles for the running kernel."""

    name = "bcc"
    blind_to: frozenset[str] = frozenset()

    def checks(self) -> Iterator[Check]:
        """The compiler, and the kernel's types."""
        packages = bcc_loader.installed()
        yield Check(
            "bcc", packages is not None, f"in {packages}" if packages else "not installed", bcc_loader.INSTALL_BCC
        )
        types = str(BTF) if BTF.exists() else bcc_loader.kernel_headers()
        yield Check("kernel types", types is not None, types or "neither BTF nor headers", bcc_loader.INSTALL_HEADERS)

    def start(self) -> BpfLoaded:
        """Compile, load and attach, in a process of its own; takes about a second.

        Raises:
            SvcTraceError: not-root, no-probes, wrong-clock, no-bcc, no-kernel-headers, kernel-too-old, bpf-forbidden,
                compile-failed or load-failed.
        """
        check_can_load(SOURCES)
        check_clock()
        loaded = _load()
        with ExitStack() as resources:
            for descriptor in (*loaded.maps, *loaded.programs, *loaded.links):
                resources.callback(os.close, descriptor)
            *maps, setup = loaded.maps
            shared = Maps(*maps)
            with mmap.mmap(shared.control, mmap.PAGESIZE) as page:
                CONTROL.pack_into(page, 0, 0, 0, 1, 1, 0, 0)  # bcc's programs have no initialised variables
            probes = BpfLoaded(self.name, shared, loaded.programs, partial(_set_root, setup), resources)
            return with_trial(probes, causes=loaded.wake_ups)


def _set_root(setup: int, pid: int) -> None:
    """Let the stopped process `pid` be the root of the tree from its first exec or fork on."""
    pidns = Path(f"/proc/{pid}/ns/pid").stat().st_ino
    own = re.search(r"^NSpid:.*?(\d+)$", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)  # proc_pid_status(5)
    assert own
    with mmap.mmap(setup, mmap.PAGESIZE) as page:
        registers, *_ = _SETUP.unpack_from(page)
        _SETUP.pack_into(page, 0, registers, int(own[1]), pidns, time.monotonic_ns())


def _load() -> bcc_loader.Descriptors:
    """Run the loader; returns the descriptors that it sends."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours:
        with theirs:
            loader = subprocess.run(
                [*_LOADER, str(sizes.possible_cpus()), str(sizes.RING_BYTES), str(theirs.fileno())],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                pass_fds=(theirs.fileno(),),
                cwd="/",
                env=_ENVIRONMENT,
                check=False,
            )
        # Not socket.recv_fds: it ignores its flags (Python 3.11 to 3.13). The command would inherit root's programs.
        answer, ancillary, *_ = ours.recvmsg(1 << 16, socket.CMSG_SPACE(64 * 4), socket.MSG_CMSG_CLOEXEC)
    descriptors = [fd for _, _, data in ancillary for (fd,) in Struct("i").iter_unpack(data)]
    output = loader.stdout.decode(errors="replace").splitlines()
    if not answer:
        message = f"bcc could not compile the probes (the compiler ended with status {loader.returncode})"
        raise _failure(message, bcc_loader.SHOW_ALL, "compile-failed", output)
    answered = json.loads(answer)
    if answered["failure"]:
        message, hint, slug = answered["failure"]
        raise _failure(message, hint, slug, output)
    maps, programs = len(bcc_loader.MAPS), answered["programs"]
    return bcc_loader.Descriptors(
        descriptors[:maps],
        descriptors[maps : maps + programs],
        descriptors[maps + programs :],
        answered["wake_ups"],
    )


def _failure(message: str, hint: str, slug: str, output: Sequence[str]) -> SvcTraceError:
    """The loader's error; if compiler or verifier wrote why, with the most informative line of the loader's output."""
    if slug in ("compile-failed", "load-failed"):
        errors = [
            line for line in output if any(word in line for word in ("error:", "invalid", "unbounded", "not allowed"))
        ]
        reason = (errors or [line for line in output if line.strip()] or ["no reason is given"])[0]
        message = f"{message}: {reason}"
    return cannot_trace(message, hint, slug)
