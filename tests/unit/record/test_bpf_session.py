"""A session whose maps are files."""

from __future__ import annotations

import mmap
import os
import struct
from contextlib import ExitStack, closing

from tracer.record.capture.bpf import interpreters, sizes
from tracer.record.capture.bpf.session import BpfSession, Maps
from tracer.record.capture.bpf.tallies import SIZE
from tracer.record.capture.bpf.wire import CONTROL, INTERPRETER, TALLY


def test_events_that_were_lost_on_any_cpu_are_counted() -> None:
    counts = range(2, 2 + sizes.possible_cpus())
    lengths = Maps(
        events=2 * (mmap.PAGESIZE + sizes.RING_BYTES),
        lost=8 * (len(counts) + 1),
        tallies=SIZE * TALLY.size,
        control=mmap.PAGESIZE,
        interpreters=interpreters.SIZE * INTERPRETER.size,
    )
    with ExitStack() as files:
        maps = Maps(*(os.memfd_create(name) for name in Maps._fields))
        for descriptor, length in zip(maps, lengths, strict=True):
            files.callback(os.close, descriptor)
            os.ftruncate(descriptor, length)
        with closing(BpfSession(maps, [], 7, causes=True)) as capture:
            assert capture.lost() == 0
            os.pwrite(maps.lost, struct.pack(f"={len(counts) + 1}Q", *counts, 1000), 0)  # the last is of no CPU
            assert capture.lost() == sum(counts)
        assert CONTROL.unpack(os.pread(maps.control, CONTROL.size, 0))[0] == 7
