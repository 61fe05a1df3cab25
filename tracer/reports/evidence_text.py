"""Evidence in words: the place in the test, the thread or process, and what it did."""

from __future__ import annotations

from typing import Final

from tracer.classify.model import Evidence
from tracer.reports.text import counted

_VERBS: Final = {"sent": "sent to", "connected": "connected to", "attempted": "tried to reach"}


def activity(evidence: Evidence) -> str:
    """What happened, without numbers, so that many tests share it: `in its call, its thread sent to tcp://…`."""
    sender = "its thread" if evidence.thread == "test" else f"another thread or process ({evidence.command})"
    listener = f" [{evidence.listener}]" if evidence.listener else ""
    errno = f" ({evidence.errno})" if evidence.errno else ""
    return f"{_place(evidence)}, {sender} {_VERBS[evidence.strength]} {evidence.endpoint}{listener}{errno}"


def amounts(evidence: Evidence) -> str:
    """The numbers: `3 sends, 120 bytes, 1 connect`."""
    counts = {"connect": evidence.connects, "send": evidence.sends, "byte": evidence.bytes}
    return ", ".join(counted(count, unit) for unit, count in counts.items() if count) or "nothing sent"


def _place(evidence: Evidence) -> str:
    """The place in the test, or in the fixture or module that it inherits from: `in the setup of fixture db`."""
    if evidence.phase == "collection":
        place = "when its module was imported"
    elif evidence.phase is None:
        place = "outside of all tests"
    elif evidence.fixture is not None:
        place = f"in the {evidence.phase} of fixture {evidence.fixture}"
    else:
        place = f"in its {evidence.phase}"
    if (via := evidence.via) and via.kind == "fixture":
        own = via.name == evidence.fixture
        place += f" (shared from {via.baseid or 'the rootdir'})" if own else f" (through {via.name})"
    return place
