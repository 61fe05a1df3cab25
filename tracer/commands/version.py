"""`svc-trace --version --verbose`: the facts that a report of an error needs."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Iterator

from tracer import __version__
from tracer.errors import SvcTraceError
from tracer.record.capture.backends import BACKENDS, StartingBackend
from tracer.record.installation import own_command
from tracer.record.invoker import Invoker


def version_lines(invoker: Invoker) -> Iterator[str]:
    """The version, and where svc-trace runs: one fact per line. Starts the backend that `auto` takes for a trial."""
    system = os.uname()
    yield f"svc-trace, version {__version__}"
    yield f"installed:    {own_command()[0]}"
    yield f"Python:       {platform.python_version()}, {sys.executable}"
    yield f"distribution: {_distribution()}"
    yield f"kernel:       {system.sysname} {system.release}, {system.machine}"
    yield f"libbpf:       {_libbpf()}"
    with invoker.root():
        yield f"backend:      {_backend()}"


def _distribution() -> str:
    try:
        return platform.freedesktop_os_release()["PRETTY_NAME"]
    except OSError:
        return "unknown"


def _libbpf() -> str:
    checks = {check.name: check.detail for check in BACKENDS["libbpf"]().checks()}
    return checks["libbpf"]


def _backend() -> str:
    reasons: list[str] = []
    try:
        loaded = StartingBackend("auto", reasons.append).result()
    except SvcTraceError as error:
        return error.message
    loaded.close()
    return reasons[0].removeprefix("traced by ") if reasons else loaded.name
