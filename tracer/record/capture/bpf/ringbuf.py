"""The reading end of a BPF ring buffer (Documentation/bpf/ringbuf.rst), mapped into this process.

Without libbpf's callback: one call from C into Python for each record would cost more than the record.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from typing import Final

from tracer.record.capture.bpf.wire import decode
from tracer.record.capture.protocol import Event

_PAGE: Final = mmap.PAGESIZE
_BUSY: Final = 0x80000000  # BPF_RINGBUF_BUSY_BIT: reserved, still being written
_DISCARD: Final = 0x40000000  # BPF_RINGBUF_DISCARD_BIT
_HEADER: Final = 8  # BPF_RINGBUF_HDR_SZ: u32 length and bits, u32 page offset


class RingBuffer:
    """One ring buffer. Only this reader may read it."""

    def __init__(self, fd: int, size: int) -> None:
        """Map the ring behind the map `fd`; `size` is its max_entries in bytes, a power of two."""
        self._mask = size - 1
        self._consumer_pages = mmap.mmap(fd, _PAGE, mmap.MAP_SHARED, mmap.PROT_READ | mmap.PROT_WRITE)
        # The producer's position, then the data twice in a row: a record at the end never wraps.
        self._producer_pages = mmap.mmap(fd, _PAGE + 2 * size, mmap.MAP_SHARED, mmap.PROT_READ, offset=_PAGE)
        self._data = memoryview(self._producer_pages)[_PAGE:]
        self._words = self._data.cast("I")
        # Items of a cast view are read and written at once, as the kernel's acquire and release need.
        self._consumer = memoryview(self._consumer_pages).cast("Q")
        self._producer = memoryview(self._producer_pages)[:_PAGE].cast("Q")

    def drain(self) -> Iterator[tuple[Event, int]]:
        """Decode what has been written since the last call, as `wire.decode` does, in the order of reservation.

        Stops at a record that is still being written: the next call returns it.
        """
        words, data, mask = self._words, self._data, self._mask
        position, end = self._consumer[0], self._producer[0]
        try:
            while position < end:
                offset = position & mask
                length = words[offset >> 2]
                if length & _BUSY:
                    break
                position += ((length & ~_DISCARD) + _HEADER + 7) & ~7
                if not length & _DISCARD:
                    yield decode(data, offset + _HEADER)
        finally:
            self._consumer[0] = position

    def close(self) -> None:
        """Unmap."""
        for view in (self._words, self._data, self._consumer, self._producer):
            view.release()
        self._consumer_pages.close()
        self._producer_pages.close()
