"""Evidence in words: where in a test something happened, who did it, and what."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from tracer.classify.model import Evidence
from tracer.reports.wording import counted

_STRENGTHS: Final = {"sent": "sent to", "connected": "connected to", "attempted": "tried to reach"}


def doing(evidence: Evidence) -> str:
    """What happened, without numbers, so that many tests share it: `in call, another thread of pytest sent to …`."""
    listener = f" [{evidence.listener}]" if evidence.listener else ""
    done = f"{who(evidence)} {_STRENGTHS[evidence.strength]} {evidence.endpoint}{listener}"
    return f"{where(evidence)}, {done}" + (f" ({evidence.errno})" if evidence.errno else "")


def doings(evidence: Iterable[Evidence]) -> tuple[str, ...]:
    """Each different doing once, in order."""
    return tuple(dict.fromkeys(doing(one) for one in evidence))


def where(evidence: Evidence) -> str:
    """The place in the test, or of that which it inherits from: `in the setup of fixture db`."""
    if evidence.phase == "collection":
        place = "when its module was imported"
    elif evidence.phase is None:
        place = "outside of all tests"
    elif evidence.fixture is not None:
        place = f"in the {evidence.phase} of fixture {evidence.fixture}"
    else:
        place = f"in its {evidence.phase}"
    if evidence.how == "inherited" and evidence.via is not None and evidence.via.startswith("fixture:"):
        name, _, base = evidence.via.removeprefix("fixture:").partition("@")
        place += f" (shared from {base or 'the rootdir'})" if name == evidence.fixture else f" (by way of {name})"
    return place


def who(evidence: Evidence) -> str:
    """The thread or process: `its thread`, `another thread or process, pytest,`."""
    return "its thread" if evidence.thread == "test" else f"another thread or process ({evidence.command})"


def amounts(evidence: Evidence) -> str:
    """The numbers: `3 sends, 120 bytes, 1 connect`."""
    counts = {"connect": evidence.connects, "send": evidence.sends, "byte": evidence.bytes}
    told = [counted(count, unit) for unit, count in counts.items() if count]
    return ", ".join(told) or "nothing sent"
