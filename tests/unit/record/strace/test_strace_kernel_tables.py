"""/proc/net, as Linux 6.1 writes it on a little-endian machine."""

from __future__ import annotations

import socket
import sys
from pathlib import Path

import pytest

from tracer.record.capture.strace.arguments import Address
from tracer.record.capture.strace.kernel_tables import KernelTables

pytestmark = pytest.mark.skipif(
    sys.byteorder != "little", reason="the tables contain words in the machine's byte order"
)


@pytest.fixture
def tables(tmp_path: Path) -> KernelTables:
    rest = "00000000:00000000 00:00000000 00000000 0 0"
    six = "00000000000000000000000001000000"
    (tmp_path / "tcp").write_text(f"a head\n 0: 0100007F:0050 00000000:0000 0A {rest} 5 1 0\n")
    (tmp_path / "tcp6").write_text(f"a head\n 0: {six}:0051 {six}:0052 01 {rest} 6 1 0\n")
    (tmp_path / "unix").write_text(
        "a head\n0: 00000002 00000000 00010000 0001 01 7 /run/a b\n0: 00000002 00000000 00000000 0001 03 8 /run/c\n"
        "0: 00000002 00000000 00000000 0002 01 9 @d\n0: 00000002 00000000 00000000 0001 03 10\n"
    )
    (tmp_path / "fib_trie").write_text("  |-- 10.0.0.1\n   /32 host LOCAL\n  |-- 10.0.0.0\n   /24 link UNICAST\n")
    (tmp_path / "if_inet6").write_text("fe800000000000000000000000000001 02 40 20 80 eth0\n")
    return KernelTables(tmp_path)


def test_sockets(tables: KernelTables) -> None:
    listens, connected = tables.find(5), tables.find(6)
    assert listens
    assert (listens.own, listens.peer, listens.listens) == (Address(socket.AF_INET, "127.0.0.1", 80), None, True)
    assert connected
    assert (connected.peer, connected.established) == (Address(socket.AF_INET6, "::1", 82), True)
    assert tables.find(11) is None


def test_names_that_can_be_connected_to(tables: KernelTables) -> None:
    assert tables.unix_names() == {"/run/a b", "@d"}


def test_hosts(tables: KernelTables) -> None:
    assert tables.hosts() == {"10.0.0.1", "fe80::1"}
