"""The check of this process's CLOCK_MONOTONIC: the probes use the kernel's.

A time namespace shifts a process's clock (time_namespaces(7)), libfaketime replaces it, and a process cannot notice
either by reading clocks. So the kernel is asked: a BPF program returns bpf_ktime_get_ns. It is loaded and run with
bpf(2) itself, because bcc does not need libbpf.so.1.
"""

from __future__ import annotations

import ctypes
import os
import time
from struct import Struct
from typing import Final

from tracer.errors import cannot_trace

_BPF: Final = {"x86_64": 321, "aarch64": 280}
"""uname(2)'s machine → number of bpf(2)."""
_PROG_LOAD, _PROG_TEST_RUN = 5, 10  # enum bpf_cmd (include/uapi/linux/bpf.h)
_SOCKET_FILTER: Final = 1  # BPF_PROG_TYPE_SOCKET_FILTER, which every kernel can test
_SHIFT: Final = 20
"""A program returns 32 bits, so it returns units of 2**20 ns, about a millisecond."""
_PROGRAM: Final = bytes.fromhex("8500000005000000 77000000" + f"{_SHIFT:02x}000000" + "9500000000000000")
"""r0 = bpf_ktime_get_ns(); r0 >>= _SHIFT; exit"""
_LOAD: Final = Struct("@IIQQ32x")
"""The beginning of union bpf_attr for BPF_PROG_LOAD: type, number of instructions, their address, the licence's."""
_RUN: Final = Struct("@IIIIQQ32x")
"""The same for BPF_PROG_TEST_RUN: program, returned value, sizes of the packet and its copy, addresses of both."""
_PACKET: Final = 64  # bytes of the packet that the program gets, and does not look at


def check_clock() -> None:
    """Check that this process reads the kernel's clock. If the kernel does not answer, it does.

    Raises:
        SvcTraceError: wrong-clock.
    """
    before_ns = time.monotonic_ns()
    answer = _kernel_time()
    after_ns = time.monotonic_ns()
    if answer is not None and (answer - (before_ns >> _SHIFT)) % 2**32 > (after_ns >> _SHIFT) - (before_ns >> _SHIFT):
        raise cannot_trace(
            "the clock of svc-trace is not the kernel's, so tests and their sends cannot be joined",
            "Run svc-trace outside of time namespaces (unshare --time) and without libfaketime (LD_PRELOAD).",
            "wrong-clock",
        )


def _kernel_time() -> int | None:
    """The kernel's CLOCK_MONOTONIC in units of 2**_SHIFT ns, modulo 2**32; None: it could not be asked."""
    number = _BPF.get(os.uname().machine)
    if number is None:
        return None
    call = ctypes.CDLL(None).syscall
    program, licence, packet = map(ctypes.create_string_buffer, (_PROGRAM, b"GPL", bytes(_PACKET)))
    load = ctypes.create_string_buffer(
        _LOAD.pack(_SOCKET_FILTER, len(_PROGRAM) // 8, ctypes.addressof(program), ctypes.addressof(licence))
    )
    descriptor = call(number, _PROG_LOAD, load, _LOAD.size)
    if descriptor < 0:
        return None
    try:
        run = ctypes.create_string_buffer(_RUN.pack(descriptor, 0, _PACKET, 0, ctypes.addressof(packet), 0))
        if call(number, _PROG_TEST_RUN, run, _RUN.size):
            return None
        _, value, *_ = _RUN.unpack_from(run)
        return int(value)
    finally:
        os.close(descriptor)
