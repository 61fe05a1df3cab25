"""What `svc-trace doctor` asks: the checks of this machine and of each backend, and a trial, which decides."""

from __future__ import annotations

from contextlib import closing
from typing import Final

from msgspec import Struct

from tracer.errors import SvcTraceError
from tracer.record.capture.backends import BACKENDS
from tracer.record.capture.checks import Check, machine_checks

_CAUSES: Final = "Look in docs/backends.md, Causes, for what a report then lacks."


class Diagnosis(Struct, frozen=True):
    """One backend on this machine."""

    name: str
    works: bool  # it was started, and closed again
    reason: str | None  # why it does not work
    remedy: str | None
    checks: tuple[Check, ...]  # what it needs


class Machine(Struct, frozen=True):
    """This machine."""

    checks: tuple[Check, ...]  # what concerns more than one backend
    backends: tuple[Diagnosis, ...]  # in the order in which `auto` tries them

    @property
    def auto(self) -> str | None:
        """The backend that `auto` takes; None: no backend works."""
        return next((backend.name for backend in self.backends if backend.works), None)


def diagnose() -> Machine:
    """Ask everything, and start each backend for a trial: seconds, if bcc has to compile."""
    return Machine(tuple(machine_checks()), tuple(_diagnose(name) for name in BACKENDS))


def _diagnose(name: str) -> Diagnosis:
    backend = BACKENDS[name]()
    checks = tuple(backend.checks())
    try:
        loaded = backend.start()
    except SvcTraceError as error:
        return Diagnosis(name, False, error.message, error.hint, checks)
    with closing(loaded):
        lacks = loaded.lacks_causes
    detail = lacks or "it observes which thread wakes which"
    return Diagnosis(name, True, None, None, (*checks, Check("causes", not lacks, detail, _CAUSES)))
