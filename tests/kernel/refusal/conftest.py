"""Servers outside of the tree, and networks."""

from __future__ import annotations

import ctypes
import socket
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from machine import lacks

from kernel.refusal.refused import Servers, bound

CLONE_NEWNET = 0x40000000


@pytest.fixture(autouse=True, scope="session")
def _captured() -> None:
    """No backend takes part."""


@pytest.fixture(autouse=True)
def _traceable() -> None:
    for feature in ("bpf", "ipv6", "mptcp"):
        if reason := lacks(feature):
            pytest.skip(reason)


@pytest.fixture
def servers() -> Iterator[Servers]:
    while True:
        with ExitStack() as stack:
            first = bound(stack, socket.SOCK_STREAM, ("127.0.0.1", 0))
            port = first.getsockname()[1]
            try:
                datagrams = bound(stack, socket.SOCK_DGRAM, ("127.0.0.1", port))
                for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
                    bound(stack, kind, ("::1", port))
            except OSError:  # another process has this port
                continue
            yield Servers(port, first, datagrams)
            return


@pytest.fixture
def network() -> Iterator[None]:
    """This thread and its children are in a network namespace of their own, where all ports are free.

    It has the addresses 192.0.2.7 and 2001:db8::7, and no route.
    """
    library = ctypes.CDLL(None)
    with Path("/proc/self/ns/net").open() as before:
        assert library.unshare(CLONE_NEWNET) == 0
        try:
            for command in ("link set lo up", "addr add 192.0.2.7 dev lo", "addr add 2001:db8::7 dev lo nodad"):
                subprocess.run(["ip", *command.split()], check=True)
            yield
        finally:
            assert library.setns(before.fileno(), CLONE_NEWNET) == 0
