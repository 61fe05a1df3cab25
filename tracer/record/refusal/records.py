"""What a run refuses, as records of its trace and as lines for the user."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager

from msgspec.structs import replace

from tracer.record.invoker import Invoker
from tracer.record.refusal.refusing import Refusing, refusing
from tracer.record.refusal.targets import PORTS, Refusal, Target
from tracer.trace.records import Record, Refused, RunWarning


class RecordedRefusal:
    """Services that are refused now, and their records.

    Attributes:
        hidden: paths that the command has to hide itself (Child.release).
    """

    def __init__(self, refusal: Refusal, now: Refusing) -> None:
        self._refusal = refusal
        self._now = now
        self.hidden = now.hidden

    def begun(self) -> Iterator[Record]:
        """What is refused, and warnings about what is not: before the command begins."""
        for one in self._now.refused:
            yield self._record(one, None if one in self.hidden else 0)
        for target in self._refusal.except_:
            yield replace(_peers("", target), excepted=True)
        yield from self._warnings()

    def ended(self) -> Iterator[Record]:
        """How many calls were refused so far, if any."""
        for one, calls in self._now.counts().items():
            yield self._record(one, calls)

    def lines(self) -> Iterator[str]:
        """What is not refused, and why, for the user."""
        for warning in self._warnings():
            yield f"warning: {warning.message} [{warning.slug}]"
        if self._now.not_served:
            names = ", ".join(sorted(self._now.not_served))
            yield f"not refused, because no process serves these unix sockets: {names}"

    def _warnings(self) -> Iterator[RunWarning]:
        if self._now.not_refusable:
            yield RunWarning(
                "not-refused",
                f"this kernel cannot refuse abstract unix sockets: {', '.join(sorted(self._now.not_refusable))}",
                "Run it on Linux 6.7 or later, or stop their servers before the run.",
            )

    def _record(self, one: Target | str, calls: int | None) -> Refused:
        service = self._refusal.services.get(one, "")
        if isinstance(one, str):
            error = errno.ECONNREFUSED if one in self.hidden else self._now.error
            return Refused(service, path=one, error=errno.errorcode[error], calls=calls)
        error_name = errno.errorcode[self._now.error] if "tcp" in one.protocols else ""
        return replace(_peers(service, one), error=error_name, calls=calls)


def _peers(service: str, target: Target) -> Refused:
    ports = PORTS if target.ports is None else target.ports
    network = "" if target.network is None else str(target.network)
    return Refused(service, network, ports[0], ports[-1], tuple(sorted(target.protocols)))


@contextmanager
def recorded_refusal(refusal: Refusal, pid: int, invoker: Invoker) -> Iterator[RecordedRefusal]:
    """Refuse services to the stopped child `pid` and its descendants, as `refusing` does."""
    with refusing(refusal, pid, invoker) as now:
        yield RecordedRefusal(refusal, now)
