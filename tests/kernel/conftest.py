"""Fixtures of the tests on the real kernel: their peers, and checks for leaks."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import psutil
import pytest
from machine import lacks

from kernel import traced
from kernel.leaks import open_files, temporary_files, unloading
from kernel.traced import Peers
from tracer.record.capture.backends import BACKENDS


@pytest.fixture(autouse=True, scope="session")
def _captured(backend: str) -> Iterator[None]:
    """Each test runs with each backend; what only looks at a program's events shares one that is loaded once."""
    if lacks("bpf"):
        yield
        return
    with traced.using(backend):
        yield


@pytest.fixture(scope="session")
def require(require: Callable[[str], None]) -> Callable[[str], None]:
    """`require(feature)` skips what the backend is known not to see, too."""

    def require_of_both(feature: str) -> None:
        if feature in BACKENDS[traced.backend()]().blind_to:
            pytest.skip(f"{traced.backend()} does not see {feature}")
        require(feature)

    return require_of_both


@pytest.fixture(autouse=True)
def _traceable(require: Callable[[str], None]) -> None:
    require("bpf")


@pytest.fixture(autouse=True, scope="module")
def _unloads_everything(_captured: None) -> Iterator[None]:
    """Fail a module whose tests leak BPF programs or links."""
    if lacks("bpf"):
        yield
        return
    with unloading("prog"), unloading("link"):
        yield


@pytest.fixture(autouse=True)
def _leaves_nothing(_traceable: None) -> Iterator[None]:
    """Fail a test that leaks open files, children, FIFOs or run folders."""
    files, temporary = open_files(), temporary_files()
    children = psutil.Process().children()  # the session's servers
    yield
    assert open_files().items() <= files.items()  # the backend of earlier tests may be closed meanwhile
    assert {*psutil.Process().children()} <= {*children}
    assert temporary_files() <= temporary


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
