"""Sends that the kernel counts in place: their sums are exact, each in its own epoch and with its own thread."""

from __future__ import annotations

import os
from collections import Counter
from itertools import pairwise
from pathlib import Path

import pytest

from kernel.traced import Peers, capturing, ended, run, running, script
from tracer.record.capture.protocol import Kind, SocketEvent

pytestmark = [pytest.mark.kernel, pytest.mark.probes]

FIRST = 5  # sends of a socket with an event of their own: those with a prefix, and the one with which the tally begins


def sends(events: list[SocketEvent]) -> list[SocketEvent]:
    return [event for event in events if event.kind == Kind.SEND]


@pytest.mark.parametrize(("family", "peer"), [("AF_INET", "tcp"), ("AF_UNIX", "stream")])
def test_any_number_of_sends_adds_up(family: str, peer: str, peers: Peers) -> None:
    text = f"""
        s = socket({family}); s.connect(P.{peer})
        for size in range(1, 102): s.send(bytes(size))
    """
    sent = sends(run(text, peers).sockets)
    assert [event.sends for event in sent] == [*[1] * FIRST, 101 - FIRST]
    assert [event.result for event in sent] == [1, 2, 3, 4, 5, sum(range(6, 102))]
    assert {(event.endpoint, event.socket) for event in sent} == {(sent[0].endpoint, sent[0].socket)}
    assert sent[-1].ns == sent[-2].ns < sent[-1].last_ns


def test_each_epoch_has_its_own_sums(peers: Peers, tmp_path: Path) -> None:
    """Drained only at the end: also then no epoch's sends are added to another's."""
    fifo = tmp_path / "boundaries"
    os.mkfifo(fifo)
    text = """
        s, boundaries = create_connection(P.tcp), os.open(sys.argv[2], os.O_RDWR)
        for count in 11, 13, 17:
            for turn in range(count): s.send(b"1")
            os.write(boundaries, b"boundary")
    """
    with capturing() as loaded, ended(loaded, *script(text, peers, str(fifo)), fifo=fifo) as command:
        sent = sends([event for event in command.session.drain() if isinstance(event, SocketEvent)])
        assert list(command.session.drain()) == []
    singles = [event for event in sent if not event.last_ns]
    counted = [event for event in sent if event.last_ns]
    assert [event.sends for event in singles] == [1] * (FIRST + 1 + 1)
    assert [event.sends for event in counted] == [11 - FIRST, 13 - 1, 17 - 1]
    assert [event.ns for event in counted] == [event.ns for event in singles[FIRST - 1 :]]
    assert all(first.last_ns < second.ns for first, second in pairwise(counted))


def test_threads_are_counted_apart(peers: Peers) -> None:
    text = """
        s = create_connection(P.tcp)
        def work(): [s.send(b"other") for turn in range(20)]
        for turn in range(20): s.send(b"main")
        thread = threading.Thread(target=work); thread.start(); thread.join()
    """
    traced = run(text, peers)
    sent = sends(traced.sockets)
    own = [event for event in sent if event.tid == traced.pid]
    other = [event for event in sent if event.tid != traced.pid]
    assert sum(event.sends for event in own) == sum(event.sends for event in other) == 20
    assert sum(event.result for event in own) == 80
    assert sum(event.result for event in other) == 100


def test_what_another_thread_sends_is_counted_by_its_first_bytes(peers: Peers) -> None:
    text = """
        def work():
            s = create_connection(P.tcp)
            for turn in range(10): s.send(b"fetch"); s.send(b"produce")
        thread = threading.Thread(target=work); thread.start(); thread.join()
    """
    heads = {b"fetch": 0, b"produce": 0}
    for event in sends(run(text, peers).sockets):
        heads[event.head] += event.sends
    assert heads == {b"fetch": 10, b"produce": 10}


def test_what_is_counted_is_told_in_every_turn(peers: Peers, tmp_path: Path) -> None:
    """One epoch, drained in between: each turn has what came since the last, though the tally goes on."""
    said, go = tmp_path / "said", tmp_path / "go"
    for fifo in said, go:
        os.mkfifo(fifo)
    text = """
        import time
        s = create_connection(P.tcp)
        time.sleep(.001)  # before its first wait, its cause is unsure: that would be another tally
        with open(sys.argv[2], "wb", 0) as said, open(sys.argv[3], "rb", 0) as go:
            while count := go.read(1)[0]:
                for turn in range(count): s.send(b"1")
                said.write(b"done")
    """
    counts = [7, 1, 100, 3]
    with (
        capturing() as loaded,
        running(loaded, *script(text, peers, str(said), str(go))) as command,
        said.open("rb", 0) as hear,
        go.open("wb", 0) as write_go,
    ):
        sent = []
        for count in counts:
            write_go.write(bytes([count]))
            assert hear.read(4) == b"done"
            sent.append(sends([event for event in command.session.drain() if isinstance(event, SocketEvent)]))
        write_go.write(bytes([0]))
    assert [sum(event.sends for event in turn) for turn in sent] == counts
    assert [len(turn) for turn in sent] == [FIRST + 1, 1, 1, 1]


@pytest.mark.parametrize("kind", ["SOCK_DGRAM", "SOCK_STREAM"])
def test_another_association_is_counted_apart(kind: str, peers: Peers) -> None:
    text = f"""
        peers = (P.udp, P.other) if {kind} == SOCK_DGRAM else (P.tcp, P.second)
        s = socket(type={kind})
        for size, peer in enumerate(peers, 1):
            s.connect(peer)
            for turn in range(20): s.send(bytes(size))
            libc.connect(s.fileno(), struct.pack("=H14x", AF_UNSPEC), 16)
    """
    total: Counter[str] = Counter()
    for event in sends(run(text, peers).sockets):
        total[peers.names[str(event.endpoint)]] += event.result
    assert sorted(total.values()) == [20, 40]
