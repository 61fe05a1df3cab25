"""Reading a ring buffer whose pages a file stands for: their layout is ABI (Documentation/bpf/ringbuf.rst)."""

from __future__ import annotations

import mmap
import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from tracer.record.capture.bpf.ringbuf import RingBuffer
from tracer.record.capture.bpf.wire import layout
from tracer.record.capture.protocol import Event, Kind

PAGE = mmap.PAGESIZE
BUSY, DISCARDED = 1 << 31, 1 << 30
EVENT, SOCKET_EVENT = layout("svc_event"), layout("svc_socket_event")


@dataclass(slots=True)
class Producer:
    """The kernel's side of a ring of one page: consumer's position, producer's position, data, the same data again.

    The kernel maps the data twice; a file can't, so what wraps is written to both places.
    """

    pages: mmap.mmap
    position: int = 0

    @property
    def read(self) -> int:
        """How far the consumer says it has come."""
        (position,) = struct.unpack_from("=Q", self.pages, 0)
        return int(position)

    def _put(self, at: int, data: bytes) -> None:
        for index, byte in enumerate(data):
            for copy in (0, PAGE):
                self.pages[2 * PAGE + copy + (at + index) % PAGE] = byte

    def reserve(self, number: int, size: int) -> int | None:
        """Reserve a record of `size` bytes that begins as event `number`; returns where, None if there is no room."""
        whole = (8 + size + 7) & ~7
        if self.position + whole - self.read > PAGE - 1:
            return None
        at = self.position
        self._put(at, struct.pack("=II", BUSY | size, 0) + event(number, size))
        self.position += whole
        self.pages[PAGE : PAGE + 8] = struct.pack("=Q", self.position)
        return at

    def finish(self, at: int, size: int, *, discarded: bool) -> None:
        """Submit or discard a reserved record."""
        self._put(at, struct.pack("=I", size | (DISCARDED if discarded else 0)))


def event(number: int, size: int) -> bytes:
    """A send with a number, bare or with details."""
    head = EVENT.pack(
        number, 0, 1, 1, 1, 0, bytes(16), bytes(16), 80, 6, Kind.SEND, 2, size > EVENT.size, 0, number, *[0] * 6
    )
    return head.ljust(size, b"\0")


@contextmanager
def ring() -> Iterator[tuple[Producer, RingBuffer]]:
    fd = os.memfd_create("ring")
    try:
        os.ftruncate(fd, 4 * PAGE)
        with mmap.mmap(fd, 4 * PAGE) as pages:
            buffer = RingBuffer(fd, PAGE)
            try:
                yield Producer(pages), buffer
            finally:
                buffer.close()
    finally:
        os.close(fd)


def numbers(events: list[tuple[Event, int]]) -> list[int]:
    return [event.ns for event, _ in events]


steps = st.lists(
    st.one_of(
        st.tuples(st.just("write"), st.sampled_from([EVENT.size, SOCKET_EVENT.size]), st.booleans()),
        st.tuples(st.just("reserve"), st.sampled_from([EVENT.size, SOCKET_EVENT.size]), st.booleans()),
        st.tuples(st.sampled_from(["finish", "drain"]), st.just(0), st.booleans()),
    ),
    max_size=200,
)


@given(steps)
def test_every_submitted_record_comes_once_and_in_order(steps: list[tuple[str, int, bool]]) -> None:
    """Whatever is written, left unfinished, discarded and drained in between, also over the ring's end."""
    with ring() as (producer, buffer):
        expected: list[int] = []
        drained: list[int] = []
        unfinished: list[tuple[int, int]] = []
        for number, (step, size, discarded) in enumerate(steps, 1):
            if step in ("write", "reserve"):
                at = producer.reserve(number, size)
                if at is None:
                    continue
                if not discarded:
                    expected.append(number)
                unfinished.append((at, size | (DISCARDED if discarded else 0)))
                if step == "write":
                    finish(producer, unfinished.pop())
            elif step == "finish" and unfinished:
                finish(producer, unfinished.pop())
            else:
                drained += numbers(list(buffer.drain()))
                assert drained == expected[: len(drained)]
                if unfinished:  # nothing after the oldest unfinished record may have come
                    assert producer.read <= min(at for at, _ in unfinished)
        for record in unfinished:
            finish(producer, record)
        drained += numbers(list(buffer.drain()))
        assert drained == expected
        assert producer.read == producer.position
        assert list(buffer.drain()) == []


def finish(producer: Producer, record: tuple[int, int]) -> None:
    at, size = record
    producer.finish(at, size & ~DISCARDED, discarded=bool(size & DISCARDED))


def test_records_go_round_the_ring_many_times() -> None:
    with ring() as (producer, buffer):
        for number in range(500):
            at = producer.reserve(number, SOCKET_EVENT.size)
            assert at is not None
            producer.finish(at, SOCKET_EVENT.size, discarded=False)
            assert numbers(list(buffer.drain())) == [number]
        assert producer.position > 20 * PAGE
