"""Which backend captures."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from tracer.record.capture.libbpf import LibbpfCapture
from tracer.record.capture.protocol import Capture

BACKENDS: Final[dict[str, Callable[[], Capture]]] = {"libbpf": LibbpfCapture}
"""Name → constructor, in the order in which `auto` tries them."""


def start_capture(backend: str) -> Capture:
    """Start the backend of that name, or with `auto` the first that this machine can run.

    Raises:
        SvcTraceError: it can't be run here; says what is missing and what to do.
    """
    name = next(iter(BACKENDS)) if backend == "auto" else backend
    capture = BACKENDS[name]()
    capture.start()
    return capture
