"""Which backend captures."""

from __future__ import annotations

from collections.abc import Callable
from threading import Thread
from typing import Final

from tracer.errors import SvcTraceError, cannot_trace
from tracer.record.capture.protocol import Capture


def _libbpf() -> Capture:
    from tracer.record.capture.bpf.libbpf import LibbpfCapture

    return LibbpfCapture()


def _bcc() -> Capture:
    from tracer.record.capture.bpf.bcc import BccCapture

    return BccCapture()


def _strace() -> Capture:
    from tracer.record.capture.strace.backend import StraceCapture

    return StraceCapture()


BACKENDS: Final[dict[str, Callable[[], Capture]]] = {"libbpf": _libbpf, "bcc": _bcc, "strace": _strace}
"""Name → what makes one that has yet to be started, in the order in which `auto` tries them.

Each is imported only then: an import delays the command.
"""


class StartingCapture:
    """A backend that starts in the background: the kernel verifies the probes while Python imports the rest."""

    def __init__(self, name: str, say: Callable[[str], None]) -> None:
        """Begin to start the backend of that name, or with `auto` the first that this machine can run.

        Args:
            name: of `BACKENDS`, or `auto`.
            say: told in one line, if it is not the first: which, and why none of those before it.
        """
        self._names = [*BACKENDS] if name == "auto" else [name]
        self._say = say
        self._capture: Capture | None = None
        self._refusals: dict[str, SvcTraceError] = {}
        self._error: BaseException | None = None
        self._thread = Thread(target=self._start)
        self._thread.start()

    def _start(self) -> None:
        try:
            for name in self._names:
                capture = BACKENDS[name]()
                try:
                    capture.start()
                except SvcTraceError as refusal:
                    self._refusals[name] = refusal
                else:
                    self._capture = capture
                    return
        except BaseException as error:
            self._error = error

    def result(self) -> Capture:
        """The capture, once it has started.

        Raises:
            SvcTraceError: it can't be run here, or with `auto` none can; says what is missing and what to do.
        """
        self._thread.join()
        if self._error is not None:
            raise self._error
        if self._capture is None:
            raise self._cannot()
        if self._refusals:
            self._say(f"traced by {self._capture.name}; {self._reasons()}")
        return self._capture

    def _cannot(self) -> SvcTraceError:
        first, *others = self._refusals.values()
        if not others:
            return first
        return cannot_trace(
            f"no backend can trace here; {self._reasons()}",
            f"{first.hint}; `svc-trace doctor` tells of the others",
            "no-backend",
        )

    def _reasons(self) -> str:
        """Which backends can't be run, and why: each reason once."""
        names: dict[str, list[str]] = {}
        for name, refusal in self._refusals.items():
            names.setdefault(refusal.message, []).append(name)
        return "; ".join(f"{' and '.join(of)}: {message}" for message, of in names.items())
