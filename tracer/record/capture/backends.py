"""The choice of a backend."""

from __future__ import annotations

import errno
import os
import resource
from collections.abc import Callable
from itertools import chain, islice
from threading import Thread
from typing import Final

from tracer.errors import SvcTraceError, cannot_trace
from tracer.record.capture.checks import root_may_load_bpf
from tracer.record.capture.protocol import Backend, Loaded


def _libbpf() -> Backend:
    from tracer.record.capture.bpf.libbpf import LibbpfBackend

    return LibbpfBackend()


def _bcc() -> Backend:
    from tracer.record.capture.bpf.bcc import BccBackend

    return BccBackend()


def _strace() -> Backend:
    from tracer.record.capture.strace.backend import StraceBackend

    return StraceBackend()


BACKENDS: Final[dict[str, Callable[[], Backend]]] = {"libbpf": _libbpf, "bcc": _bcc, "strace": _strace}
"""Name → constructor, in the order in which `auto` tries them. Each imports its backend: imports delay the command."""
ATTACHING: Final = frozenset({"libbpf", "bcc"})
"""The backends that can trace a process which they do not start."""
_INDISPENSABLE: Final = frozenset({"probes", "libbpf", "BTF"})
"""The checks of the first backend that have an answer for an ordinary user, too, and must not be no."""
_DESCRIPTORS: Final = 64
"""Open files that a run may need at a time; libbpf needs about 35 of them."""


class StartingBackend:
    """A backend that starts in the background: the kernel verifies the probes while Python imports the rest."""

    def __init__(
        self,
        name: str,
        say: Callable[[str], None],
        as_root: Callable[[], str | None] = lambda: None,
        *,
        attaches: bool = False,
    ) -> None:
        """Begin to start the backend of that name, or with `auto` the first that this machine can run.

        Args:
            name: a key of `BACKENDS`, or `auto`.
            say: prints one line: with `auto`, which backend was taken if it is not the first, and why.
            as_root: returns the command line for the same as root, for that line; None: there is none.
            attaches: `auto` takes only a backend that can trace a process which it does not start.

        Raises:
            SvcTraceError: the limit of open files is too low, or the backend's settings are wrong.
            OSError: the limit of threads is too low.
        """
        if (limit := resource.getrlimit(resource.RLIMIT_NOFILE)[0]) < _DESCRIPTORS:
            message = f"only {limit} files may be open at a time, and svc-trace needs {_DESCRIPTORS}"
            raise cannot_trace(message, "Raise the limit: ulimit -n 1024.", "few-descriptors")
        every = [one for one in BACKENDS if one in ATTACHING or not attaches]
        first, *others = every if name == "auto" else [name]
        backend = BACKENDS[first]()  # imported here: in the thread, the imports of this one would delay it
        self._backends = chain([backend], (BACKENDS[other]() for other in others))
        self._say = say
        self._as_root = as_root
        self._loaded: Loaded | None = None
        self._refusals: dict[str, SvcTraceError] = {}
        self._error: BaseException | None = None
        self._thread = Thread(target=self._start)
        try:
            self._thread.start()
        except RuntimeError as error:
            raise OSError(errno.EAGAIN, os.strerror(errno.EAGAIN)) from error
        backend.prepare()

    def _start(self) -> None:
        try:
            for backend in self._backends:
                try:
                    self._loaded = backend.start()
                except SvcTraceError as refusal:
                    self._refusals[backend.name] = refusal
                else:
                    return
        except BaseException as error:
            self._error = error

    def result(self) -> Loaded:
        """Wait for the start.

        Raises:
            SvcTraceError: the backend, or with `auto` every backend, cannot run here; says what is missing.
        """
        self._thread.join()
        if self._error is not None:
            raise self._error
        if self._loaded is None:
            raise self._cannot()
        if self._refusals:
            self._say(f"traced by {self._loaded.name}{self._remedy() or f'. {self._reasons()}'}")
        return self._loaded

    def _remedy(self) -> str | None:
        """What to type, if this user could use the first backend as root."""
        first = next(iter(BACKENDS))
        refusal = self._refusals.get(first)
        if refusal is None or refusal.slug != "not-root" or not root_may_load_bpf():
            return None
        indispensable = (check for check in BACKENDS[first]().checks() if check.name in _INDISPENSABLE)
        lacks = any(check.answer is False for check in islice(indispensable, len(_INDISPENSABLE)))  # others take longer
        line = None if lacks else self._as_root()
        return line and f"; as root it would be {first}: {line}"

    def _cannot(self) -> SvcTraceError:
        first, *others = self._refusals.values()
        if not others:
            return first
        hint = f"{first.hint} `svc-trace doctor` lists what the other backends need."
        return cannot_trace(f"no backend can trace here. {self._reasons()}", hint, "no-backend")

    def _reasons(self) -> str:
        """The backends that cannot run, by reason."""
        names: dict[str, list[str]] = {}
        for name, refusal in self._refusals.items():
            names.setdefault(refusal.message, []).append(name)
        return ". ".join(f"{' and '.join(refused)}: {message}" for message, refused in names.items())
