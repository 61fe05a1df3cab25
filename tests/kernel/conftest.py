"""What the tests on the real kernel share: what they may leave behind, and whom they talk to."""

from __future__ import annotations

import ctypes
import os
import socket
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Final

import psutil
import pytest
from machine import lacks

from kernel.traced import Peers

_GRACE_S: Final = 20.0
"""The kernel frees programs some time after their last user is gone, and tells nobody when."""


@pytest.fixture(autouse=True)
def _traceable(require: Callable[[str], None]) -> None:
    require("bpf")


def _bpf_ids(kind: str) -> set[int]:
    """The ids of all BPF programs (`prog`) or links (`link`) of the machine."""
    library = ctypes.CDLL("libbpf.so.1")
    next_id = getattr(library, f"bpf_{kind}_get_next_id")
    number, ids = ctypes.c_uint32(0), set()
    while next_id(number, ctypes.byref(number)) == 0:
        ids.add(number.value)
    return ids


def _open_files() -> dict[str, str]:
    files = {}
    for entry in Path("/proc/self/fd").iterdir():
        try:
            files[entry.name] = str(entry.readlink())
        except FileNotFoundError:  # the listing's own
            continue
    return files


def _left_in_temporary_folder() -> set[Path]:
    base = Path(tempfile.gettempdir())
    own = {path for path in base.glob("*svc-trace-*") if path.stat().st_uid == os.geteuid()}
    return own | {path for path in base.iterdir() if path.is_fifo()}


@pytest.fixture(autouse=True, scope="module")
def _unloads_everything() -> Iterator[None]:
    """Fail a module whose tests leak BPF programs or links. Other processes may have theirs for a while."""
    if lacks("bpf"):
        yield
        return
    programs, links = _bpf_ids("prog"), _bpf_ids("link")
    yield
    until = time.monotonic() + _GRACE_S
    while leaked := (_bpf_ids("prog") - programs) | (_bpf_ids("link") - links):
        assert time.monotonic() < until, f"BPF programs or links are left: {leaked}"
        time.sleep(0.005)


@pytest.fixture(autouse=True)
def _leaves_nothing(_traceable: None) -> Iterator[None]:
    """Fail a test that leaks open files, children, FIFOs or run folders."""
    files, folders = _open_files(), _left_in_temporary_folder()
    children = psutil.Process().children()  # the session's servers
    yield
    assert _open_files() == files
    assert psutil.Process().children() == children
    assert _left_in_temporary_folder() <= folders


@pytest.fixture
def peers(tmp_path: Path) -> Iterator[Peers]:
    """One real peer of each kind. None of them accepts or reads: the kernel's queues do."""
    with ExitStack() as stack:

        def bound(family: int, kind: int, address: object, *, listens: bool, backlog: int = 16) -> socket.socket:
            made = stack.enter_context(socket.socket(family, kind))
            made.bind(address)  # type: ignore[arg-type]  # a path or an address and a port
            if listens:
                made.listen(backlog)
            return made

        def inet(kind: int, host: str = "127.0.0.1", *, listens: bool = True, backlog: int = 16) -> tuple[str, int]:
            family = socket.AF_INET6 if ":" in host else socket.AF_INET
            return host, bound(family, kind, (host, 0), listens=listens, backlog=backlog).getsockname()[1]

        def unix(kind: int, address: str, *, listens: bool = True) -> str:
            bound(socket.AF_UNIX, kind, address, listens=listens)
            return address

        full = inet(socket.SOCK_STREAM, backlog=0)
        stack.enter_context(socket.create_connection(full))
        yield Peers(
            full=full,
            tcp=inet(socket.SOCK_STREAM),
            second=inet(socket.SOCK_STREAM),
            tcp6=inet(socket.SOCK_STREAM, "::1"),
            closed=inet(socket.SOCK_STREAM, listens=False),
            udp=inet(socket.SOCK_DGRAM, listens=False),
            other=inet(socket.SOCK_DGRAM, listens=False),
            udp6=inet(socket.SOCK_DGRAM, "::1", listens=False),
            stream=unix(socket.SOCK_STREAM, str(tmp_path / "stream")),
            packets=unix(socket.SOCK_SEQPACKET, str(tmp_path / "packets")),
            datagrams=unix(socket.SOCK_DGRAM, str(tmp_path / "datagrams"), listens=False),
            abstract=unix(socket.SOCK_STREAM, f"\0svc-trace/{os.getpid()}/{tmp_path.name}"),
            missing=str(tmp_path / "missing"),
        )
