"""Evidence in words: the place in the test, the thread or process, and what it did."""

from __future__ import annotations

from typing import Final

from tracer.classify.model import Evidence
from tracer.classify.via import Via
from tracer.reports.fixture_names import known_fixture
from tracer.reports.text import counted

_VERBS: Final = {"sent": "sent to", "connected": "connected to", "attempted": "tried to reach"}


def activity(evidence: Evidence) -> str:
    """What happened, without numbers, so that many tests share it: `in the call, the test's thread sent to …`."""
    sender = "the test's thread" if evidence.thread == "test" else _other_sender(evidence)
    listener = f" [{evidence.listener}]" if evidence.listener else ""
    errno = f" ({evidence.errno})" if evidence.errno else ""
    return f"{_place(evidence)}, {sender} {_VERBS[evidence.strength]} {destination(evidence)}{listener}{errno}"


def destination(evidence: Evidence) -> str:
    """The endpoint, and the name of its host if it is known: `api.example.com (93.184.216.34:443)`."""
    if evidence.host is None:
        return evidence.endpoint
    return f"{evidence.host} ({evidence.endpoint.removeprefix('tcp://')})"


def _other_sender(evidence: Evidence) -> str:
    origin = "test" if evidence.via is None else evidence.via.kind
    woken = {True: f", which the {origin} woke,", False: f", which the {origin} did not wake,", None: ""}
    return f"another thread or process ({evidence.command}){woken[evidence.asked]}"


def amounts(evidence: Evidence) -> str:
    """The numbers: `1 connect, 3 sends (GET, SET), 120 bytes`; with `…`: perhaps other operations."""
    counts = {"connect": evidence.connects, "send": evidence.sends, "byte": evidence.bytes}
    operations = ", ".join((*evidence.operations, *(["…"] if evidence.other_sends else [])))
    details = {"send": f" ({operations})"} if evidence.operations else {}
    texts = (counted(count, unit) + details.get(unit, "") for unit, count in counts.items() if count)
    return ", ".join(texts) or "nothing sent"


def _place(evidence: Evidence) -> str:
    """The place in the test, or in the fixture or module that it inherits from: `in the setup of fixture db`."""
    if evidence.phase == "collection":
        place = "when the module was imported"
    elif evidence.phase is None:
        place = "outside of all tests"
    elif evidence.fixture is not None:
        place = f"in the {evidence.phase} of fixture {known_fixture(evidence.fixture)}"
    else:
        place = f"in the {evidence.phase}"
    if (via := evidence.via) and via.kind == "fixture":
        place += (
            f" ({defined_in(via)})" if via.name == evidence.fixture else f" (for fixture {known_fixture(via.name)})"
        )
    return place


def defined_in(via: Via) -> str:
    """The place that defines a fixture: `defined in tests/test_pool.py`."""
    return f"defined in {via.baseid or 'a plugin or the top conftest.py'}"
