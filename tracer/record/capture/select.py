"""Which backend captures."""

from __future__ import annotations

from collections.abc import Callable
from threading import Thread
from typing import Final

from tracer.record.capture.protocol import Capture


def _libbpf() -> type[Capture]:
    from tracer.record.capture.libbpf import LibbpfCapture

    return LibbpfCapture


BACKENDS: Final[dict[str, Callable[[], type[Capture]]]] = {"libbpf": _libbpf}
"""Name → what imports its class, in the order in which `auto` tries them. Each import delays the command."""


class StartingCapture:
    """A backend that starts in the background: the kernel verifies the probes while Python imports the rest."""

    def __init__(self, backend: str) -> None:
        """Begin to start the backend of that name, or with `auto` the first that this machine can run."""
        self._capture = BACKENDS[next(iter(BACKENDS)) if backend == "auto" else backend]()()
        self._error: BaseException | None = None
        self._thread = Thread(target=self._start)
        self._thread.start()

    def _start(self) -> None:
        try:
            self._capture.start()
        except BaseException as error:
            self._error = error

    def result(self) -> Capture:
        """The capture, once it has started.

        Raises:
            SvcTraceError: it can't be run here; says what is missing and what to do.
        """
        self._thread.join()
        if self._error is not None:
            raise self._error
        return self._capture
