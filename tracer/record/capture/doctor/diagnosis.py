"""What this machine can do: what each backend needs, asked one by one, and a trial that has the last word."""

from __future__ import annotations

from dataclasses import dataclass

from tracer.errors import SvcTraceError
from tracer.record.capture.backends import BACKENDS
from tracer.record.capture.doctor.checks import Check
from tracer.record.capture.doctor.machine import machine_checks


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """One backend on this machine."""

    name: str
    works: bool  # it was started, and ended again
    reason: str | None  # why it does not work
    remedy: str | None
    checks: tuple[Check, ...]  # what it needs


@dataclass(frozen=True, slots=True)
class Machine:
    """This machine, as all backends find it."""

    checks: tuple[Check, ...]  # what concerns more than one backend
    backends: tuple[Diagnosis, ...]  # in the order in which `auto` tries them

    @property
    def auto(self) -> str | None:
        """The backend that `auto` takes; None: there is none."""
        return next((one.name for one in self.backends if one.works), None)


def diagnose() -> Machine:
    """Ask everything, and start each backend for a trial: seconds, if bcc has to compile."""
    return Machine(tuple(machine_checks()), tuple(_diagnose(name) for name in BACKENDS))


def _diagnose(name: str) -> Diagnosis:
    capture = BACKENDS[name]()
    checks = tuple(capture.checks())
    try:
        capture.start()
    except SvcTraceError as error:
        return Diagnosis(name, False, error.message, error.hint, checks)
    finally:
        capture.close()
    return Diagnosis(name, True, None, None, checks)
