"""What each backend needs of this machine. Asking changes nothing."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Iterator
from typing import Final

from tracer.errors import SvcTraceError
from tracer.record.capture.bpf import bcc, bcc_loader, features
from tracer.record.capture.bpf.artifacts import OBJECT, REINSTALL
from tracer.record.capture.bpf.library import Library
from tracer.record.capture.doctor.checks import Check


def _libbpf() -> Iterator[Check]:
    """The compiled probes, the library that loads them, and what they need of the kernel."""
    yield Check("probes", OBJECT.exists(), str(OBJECT), REINSTALL)
    try:
        library = Library()
    except SvcTraceError as error:
        yield Check("libbpf", False, error.message, error.hint)
        return
    yield Check("libbpf", True, "libbpf.so.1")
    yield features.btf()
    yield features.task_storage(library)
    yield from features.send_checks(library)


def _bcc() -> Iterator[Check]:
    """The compiler, and the kernel's types."""
    packages = bcc_loader.installed()
    yield Check("bcc", packages is not None, f"in {packages}" if packages else "not installed", bcc.INSTALL_BCC)
    types = str(bcc_loader.BTF) if bcc_loader.BTF.exists() else bcc_loader.kernel_headers()
    yield Check("kernel types", types is not None, types or "neither BTF nor headers", bcc.install_headers())


def _strace() -> Iterator[Check]:
    """The program. Whether it may trace is a question about the machine."""
    path = shutil.which("strace")
    yield Check("strace", path is not None, path or "not in PATH", "Install it: apt-get install strace.")


REQUIREMENTS: Final[dict[str, Callable[[], Iterable[Check]]]] = {"libbpf": _libbpf, "bcc": _bcc, "strace": _strace}
"""Name of a backend → what it needs."""
