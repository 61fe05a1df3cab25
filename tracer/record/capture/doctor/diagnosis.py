"""What this machine can do: the checks of each backend, and a trial, which decides."""

from __future__ import annotations

from dataclasses import dataclass

from tracer.errors import SvcTraceError
from tracer.record.capture.backends import BACKENDS
from tracer.record.capture.doctor.checks import Check
from tracer.record.capture.doctor.machine import machine_checks
from tracer.record.capture.doctor.requirements import REQUIREMENTS


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """One backend on this machine."""

    name: str
    works: bool  # it was started, and closed again
    reason: str | None  # why it does not work
    remedy: str | None
    checks: tuple[Check, ...]  # what it needs


@dataclass(frozen=True, slots=True)
class Machine:
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
    checks = tuple(REQUIREMENTS[name]())
    try:
        BACKENDS[name]().start().close()
    except SvcTraceError as error:
        return Diagnosis(name, False, error.message, error.hint, checks)
    return Diagnosis(name, True, None, None, checks)
