"""No probe is attached for nothing: one small program has each of them run, on whatever kernel this is.

Probes run for the whole machine, so the answer is exact on an idle machine, such as a virtual one.
"""

from __future__ import annotations

import ctypes
import os
import re
import time
from collections.abc import Iterator
from pathlib import Path
from struct import unpack_from

import pytest

from kernel.leaks import GRACE_S
from kernel.traced import Peers, capturing, ended, script

pytestmark = [pytest.mark.kernel, pytest.mark.probes]

EVERYTHING = """
    file = os.open(__import__("tempfile").mkstemp()[1], os.O_RDWR)
    def send_all(s):
        s.send(b"1")
        os.lseek(file, 0, 0); os.write(file, b"1"); os.lseek(file, 0, 0)
        os.sendfile(s.fileno(), file, 0, 1)
        s.close()
    send_all(create_connection(P.tcp))
    send_all(create_connection(P.tcp6))
    for family, kind, address in (
        (AF_INET, SOCK_DGRAM, P.udp), (AF_INET6, SOCK_DGRAM, P.udp6), (AF_UNIX, SOCK_STREAM, P.stream),
        (AF_UNIX, SOCK_DGRAM, P.datagrams), (AF_UNIX, SOCK_SEQPACKET, P.packets),
    ):
        s = socket(family, kind)
        s.connect(address)
        send_all(s)
    one, other = socketpair()
    one.send(b"1"); other.recv(1)
    os.spawnlp(os.P_WAIT, "true", "true")
"""


def programs() -> Iterator[tuple[str, int]]:
    """Name of each BPF program of this process → how often it has run, while that is counted.

    Offsets are those of struct bpf_prog_info (include/uapi/linux/bpf.h): name, run_cnt.
    """
    library = ctypes.CDLL("libbpf.so.1")
    numbers = {
        int(number)
        for file in Path("/proc/self/fdinfo").iterdir()
        if file.exists()  # the listing's own is gone
        for number in re.findall(r"^prog_id:\t(\d+)$", file.read_text(), re.MULTILINE)
    }
    for number in numbers:
        descriptor = library.bpf_prog_get_fd_by_id(number)
        info, size = ctypes.create_string_buffer(208), ctypes.c_uint32(208)
        assert library.bpf_obj_get_info_by_fd(descriptor, info, ctypes.byref(size)) == 0
        os.close(descriptor)
        (name,), (runs,) = unpack_from("16s", info, 64), unpack_from("=Q", info, 200)
        yield name.rstrip(b"\0").decode(), runs


def test_every_probe_runs(peers: Peers, tmp_path: Path) -> None:
    counting = ctypes.CDLL("libbpf.so.1").bpf_enable_stats(0)  # BPF_STATS_RUN_TIME, for as long as this is open
    assert counting >= 0
    try:
        with capturing() as loaded, ended(loaded, "env", f"TMPDIR={tmp_path}", *script(EVERYTHING, peers)):
            until = time.monotonic() + GRACE_S  # some run when the kernel frees something, which it does when it likes
            while idle := sorted(name for name, runs in programs() if not runs):
                assert time.monotonic() < until, f"probes that did not run: {', '.join(idle)}"
                time.sleep(0.005)
            assert len([*programs()]) > 0
    finally:
        os.close(counting)
