"""Tallies as the kernel writes them: each send is returned once, and a final tally is dropped."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from plain import plain

from tracer.record.capture.bpf.tallies import SIZE, Tallies
from tracer.record.capture.bpf.wire import TALLY
from tracer.record.capture.protocol import Kind, SocketEvent
from tracer.trace.endpoint import Endpoint

FIRST = plain(SocketEvent)(100, Kind.SEND, 1, 1, 5, 0, Endpoint("tcp", "127.0.0.1", 1), 3, b"head", b"prefix")


@dataclass(frozen=True, slots=True)
class Kernel:
    """The memory that the kernel counts in: a file of the same size."""

    fd: int

    def count(self, serial: int, sends: int, epoch: int) -> None:
        os.pwrite(self.fd, TALLY.pack(100 + sends, 10 * sends, sends, epoch), serial % SIZE * TALLY.size)


@pytest.fixture
def kernel() -> Iterator[Kernel]:
    fd = os.memfd_create("tallies")
    os.truncate(fd, SIZE * TALLY.size)
    yield Kernel(fd)
    os.close(fd)


@pytest.fixture
def tallies(kernel: Kernel) -> Iterator[Tallies]:
    made = Tallies(kernel.fd)
    yield made
    made.close()


def test_each_send_is_told_once(kernel: Kernel, tallies: Tallies) -> None:
    tallies.begin(1, FIRST)
    events: list[SocketEvent] = []
    for sends in (2, 2, 7):
        kernel.count(1, sends, epoch=1)
        events += tallies.drain(epoch=1)
    assert [(event.sends, event.result, event.last_ns) for event in events] == [(2, 20, 102), (5, 50, 107)]
    assert {(event.ns, event.head, event.prefix) for event in events} == {(100, b"head", b"")}


def test_a_tally_is_final_one_reading_after_its_epoch(kernel: Kernel, tallies: Tallies) -> None:
    tallies.begin(1, FIRST)
    kernel.count(1, 1, epoch=1)
    assert [event.sends for event in tallies.drain(epoch=2)] == [1]
    kernel.count(1, 3, epoch=1)  # by a send that was under way
    assert [event.sends for event in tallies.drain(epoch=2)] == [2]
    kernel.count(1, 9, epoch=3)  # its place is another's now
    assert list(tallies.drain(epoch=2)) == []


def test_a_tally_of_an_epoch_that_has_just_begun_goes_on(kernel: Kernel, tallies: Tallies) -> None:
    """The epoch is read before the ring: what comes between the two is newer than the epoch that was read."""
    tallies.begin(1, FIRST)
    for sends in (1, 2, 3):
        kernel.count(1, sends, epoch=6)
        assert [event.sends for event in tallies.drain(epoch=5)] == [1]


def test_a_place_that_is_taken_too_early_counts_as_loss(kernel: Kernel, tallies: Tallies) -> None:
    tallies.begin(1, FIRST)
    kernel.count(1, 1, epoch=1)
    list(tallies.drain(epoch=1))
    tallies.begin(1 + SIZE, FIRST)
    assert tallies.overwritten == 1
