from __future__ import annotations

import pytest

from tracer.record.names import host_names as module
from tracer.record.names.host_names import HostNames
from tracer.trace.ids import NetworkNamespace, ProcessId
from tracer.trace.records import HostName

RUNNER, CHILD = ProcessId(1), ProcessId(2)
NETWORK = NetworkNamespace(4026531840)


def test_an_answer_is_written_once_for_each_process() -> None:
    written: list[HostName] = []
    names = HostNames(written.append)
    pairs = [("db.internal", "10.0.0.5"), ("db.internal", "fd00::5")]
    names.answered(RUNNER, NETWORK, 100, pairs)
    names.answered(RUNNER, NETWORK, 200, pairs)
    names.answered(CHILD, NETWORK, 300, pairs[:1])
    assert written == [
        HostName("db.internal", "10.0.0.5", "dns", 100, RUNNER, NETWORK),
        HostName("db.internal", "fd00::5", "dns", 100, RUNNER, NETWORK),
        HostName("db.internal", "10.0.0.5", "dns", 300, CHILD, NETWORK),
    ]


def test_two_names_of_one_address_are_written_in_the_order_of_the_answers() -> None:
    """Servers behind one address, such as a CDN's: the name that was looked up last is the right one."""
    written: list[HostName] = []
    names = HostNames(written.append)
    for ns, name in enumerate(["a.example", "b.example", "b.example", "a.example"]):
        names.answered(RUNNER, NETWORK, ns, [(name, "192.0.2.1")])
    assert [(record.ns, record.name) for record in written] == [(0, "a.example"), (1, "b.example"), (3, "a.example")]


def test_answers_of_an_ended_process_are_forgotten() -> None:
    names = HostNames(list[HostName]().append)
    names.answered(RUNNER, NETWORK, 1, [("a.example", "192.0.2.1")])
    names.forget_process(RUNNER)
    names.forget_process(CHILD)
    assert names._answered == {}


def test_a_process_that_reads_very_many_answers_uses_bounded_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_ANSWERED", 10)
    names = HostNames(list[HostName]().append)
    for number in range(100):
        names.answered(RUNNER, NETWORK, number, [(f"h{number}.example", f"192.0.2.{number}")])
    assert len(names._answered[RUNNER]) <= 10
