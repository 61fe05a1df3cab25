from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from plain import plain

from tracer.record.capture.protocol import Kind, SocketEvent
from tracer.record.names import host_names as module
from tracer.record.names import hosts_file
from tracer.record.names.host_names import NOTHING, HostNames
from tracer.record.processes import Processes
from tracer.trace.endpoint import Endpoint
from tracer.trace.ids import NetworkNamespace, ProcessId
from tracer.trace.records import HostName
from tracer.trace.timeline import Timeline

RUNNER, CHILD = ProcessId(1), ProcessId(2)
NETWORK, OTHER_NETWORK = NetworkNamespace(4026531840), NetworkNamespace(1)


def names_that(write: Callable[[HostName], None]) -> HostNames:
    return HostNames(write, Processes(Timeline()), NOTHING)


def test_an_answer_is_written_once_for_each_process() -> None:
    written: list[HostName] = []
    names = names_that(written.append)
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
    names = names_that(written.append)
    for ns, name in enumerate(["a.example", "b.example", "b.example", "a.example"]):
        names.answered(RUNNER, NETWORK, ns, [(name, "192.0.2.1")])
    assert [(record.ns, record.name) for record in written] == [(0, "a.example"), (1, "b.example"), (3, "a.example")]


def test_answers_of_an_ended_process_are_forgotten() -> None:
    names = names_that(list[HostName]().append)
    names.answered(RUNNER, NETWORK, 1, [("a.example", "192.0.2.1")])
    names.forget_process(RUNNER)
    names.forget_process(CHILD)
    assert names._answered == {}


def test_a_process_that_reads_very_many_answers_uses_bounded_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_ANSWERED", 10)
    names = names_that(list[HostName]().append)
    for number in range(100):
        names.answered(RUNNER, NETWORK, number, [(f"h{number}.example", f"192.0.2.{number}")])
    assert len(names._answered[RUNNER]) <= 10


def test_names_of_a_file_are_written_once_for_each_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "hosts").write_text("10.0.0.5 db.internal db\n")
    monkeypatch.setattr(hosts_file, "_OWN_FILE", tmp_path / "hosts")
    written: list[HostName] = []
    names = names_that(written.append)
    for network in (NETWORK, OTHER_NETWORK, NETWORK):
        for endpoint in ("tcp://10.0.0.5:5432", "udp://10.0.0.5:53", "tcp://127.0.0.1:80", "unix:///run/x"):
            names.reached(plain(SocketEvent)(1, Kind.SEND, RUNNER, 7, 9, network, Endpoint.parse(endpoint), 3))
        names.turn()
    names.finish([])
    assert sorted(written, key=lambda record: (record.network, record.name)) == [
        HostName(name, "10.0.0.5", "hosts", network=network)
        for network in (OTHER_NETWORK, NETWORK)
        for name in ("db", "db.internal")
    ]
