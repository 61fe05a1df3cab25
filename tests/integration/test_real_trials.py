"""Verdicts of real runs: a suite with its service, and the same suite without it.

The service has ended, or the kernel refuses it. The verdicts are the same.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from textwrap import dedent

import pytest

from tracer.reports.verify_json import read_verification

pytestmark = [pytest.mark.kernel, pytest.mark.skipif(os.geteuid() != 0, reason="only root can trace with libbpf")]

SUITE = {
    "svc-trace.toml": """
        [services.cache]
        ports = [PORT]
        unix = ["PATH"]
        """,
    "conftest.py": """
        import socket, pytest
        ADDRESS = "127.0.0.1", PORT
        def ask():
            with socket.create_connection(ADDRESS) as client:
                client.sendall(b"ask")
                assert client.recv(1)
        def try_to_ask():
            try:
                ask()
            except ConnectionRefusedError:
                return False
            return True
        @pytest.fixture(scope="session")
        def pool():
            ask()
        @pytest.fixture(scope="session")
        def skipping():
            try_to_ask() or pytest.skip("no cache")
        @pytest.fixture
        def flushed():
            yield
            try_to_ask()
        @pytest.fixture
        def closed():
            yield
            ask()
        @pytest.fixture
        def filled():
            return try_to_ask()
        """,
    "test_a.py": """
        import socket, subprocess, sys, pytest
        from conftest import ADDRESS, ask, try_to_ask
        def test_itself():
            ask()
        def test_skips():
            try_to_ask() or pytest.skip("no cache")
        def test_child():
            program = f"import socket; socket.create_connection({ADDRESS!r}).sendall(b'ask')"
            subprocess.run([sys.executable, "-c", program], check=True)
        def test_unix():
            with socket.socket(socket.AF_UNIX) as client:
                client.connect("PATH")
        def test_datagrams():
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
                client.settimeout(5)  # a datagram that is refused gets no answer and no error
                client.connect(ADDRESS)
                client.send(b"1")
                client.recv(1)
        def test_pool(pool): pass
        def test_pool_again(pool): pass
        def test_skipping(skipping): pass
        def test_filled(filled):
            assert filled
        def test_closed(closed): pass
        def test_flushed(flushed): pass
        def test_tries_again():
            for _ in range(3):
                try_to_ask()
        def test_asserts_the_refusal():
            with pytest.raises(ConnectionRefusedError):
                ask()
        def test_own_server():
            with socket.create_server(("127.0.0.2", ADDRESS[1])) as server:
                socket.create_connection(server.getsockname()).close()
        def test_plain(): pass
        """,
    "test_import.py": """
        from conftest import ask
        ask()
        def test_module(): pass
        """,
    "test_careful_import.py": """
        from conftest import try_to_ask
        CACHE = try_to_ask()
        def test_with(): assert CACHE
        def test_without(): pass
        """,
}
EXPECTED = {  # test → verdict and through, or the reason
    "test_a.py::test_asserts_the_refusal": ("undecided", "failed"),
    "test_a.py::test_child": ("needs", None),
    "test_a.py::test_closed": ("needs", "fixture:closed"),
    "test_a.py::test_datagrams": ("needs", None),
    "test_a.py::test_filled": ("needs", "fixture:filled"),
    "test_a.py::test_flushed": ("tolerates", "fixture:flushed"),
    "test_a.py::test_itself": ("needs", None),
    "test_a.py::test_own_server": ("unaffected", None),
    "test_a.py::test_plain": ("unaffected", None),
    "test_a.py::test_pool": ("needs", "fixture:pool@"),
    "test_a.py::test_pool_again": ("needs", "fixture:pool@"),
    "test_a.py::test_skipping": ("needs", "fixture:skipping@"),
    "test_a.py::test_skips": ("needs", None),
    "test_a.py::test_tries_again": ("tolerates", None),
    "test_a.py::test_unix": ("needs", None),
    "test_careful_import.py::test_with": ("needs", "module:test_careful_import.py"),
    "test_careful_import.py::test_without": ("tolerates", "module:test_careful_import.py"),
    "test_import.py::test_module": ("needs", "module:test_import.py"),
}

TRACER = (sys.executable, "-m", "tracer")
PYTEST = (sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider")

SERVER = """
import socketserver, sys, threading

class Stream(socketserver.BaseRequestHandler):
    def handle(self):
        if self.request.recv(100):
            self.request.sendall(b"!")

class Datagram(socketserver.BaseRequestHandler):
    def handle(self):
        self.request[1].sendto(b"!", self.client_address)

tcp = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Stream)
udp = socketserver.ThreadingUDPServer(tcp.server_address, Datagram)
unix = socketserver.ThreadingUnixStreamServer(sys.argv[1], Stream)
for server in (udp, unix):
    threading.Thread(target=server.serve_forever, daemon=True).start()
print(tcp.server_address[1], flush=True)
tcp.serve_forever()
"""


@contextmanager
def server(directory: Path) -> Iterator[None]:
    """The service, and the suite with its addresses."""
    path = directory / "cache.sock"
    command = [sys.executable, "-c", SERVER, str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            port = process.stdout.readline().strip()
            for name, text in SUITE.items():
                filled = dedent(text).replace("PORT", port).replace("PATH", str(path))
                (directory / name).write_text(filled)
            yield
        finally:
            process.kill()
    path.unlink()


def stopped(directory: Path, backend: str, *workers: str) -> None:
    """A trial without a service that has ended."""
    with server(directory):
        svc_trace(directory, 1, "run", "-q", "-o", "with.json", "--backend", backend, "--", *PYTEST, *workers)
    without = ("run", "-q", "-o", "without.json", "--backend", backend, "--", *PYTEST, *workers)
    svc_trace(directory, 1, *without, "--continue-on-collection-errors")
    svc_trace(directory, 0, "verify", "--without", "cache", "--against", "with.json", "without.json")


def refused(directory: Path, backend: str, *workers: str) -> None:
    """A trial without a service that is refused."""
    with server(directory):
        svc_trace(directory, 0, "verify", "--without", "cache", "--all", "--backend", backend, "--", *PYTEST, *workers)


def svc_trace(directory: Path, status: int, *arguments: str) -> None:
    done = subprocess.run([*TRACER, *arguments], cwd=directory, capture_output=True, text=True, check=False)
    assert done.returncode == status, done.stdout + done.stderr


@pytest.mark.parametrize("workers", [(), ("-n2",)], ids=["one process", "two workers"])
@pytest.mark.parametrize("trial", [stopped, refused])
def test_each_test_has_the_expected_verdict(
    trial: Callable[..., None], workers: tuple[str, ...], backend: str, tmp_path: Path
) -> None:
    trial(tmp_path, backend, *workers)
    verification = read_verification(tmp_path / "svc-trace-verify.json")
    assert verification.complete
    found = {nodeid: (one.verdict, one.reason or one.through) for nodeid, one in verification.tests.items()}
    assert found == EXPECTED
    tried = [nodeid for nodeid, one in verification.tests.items() if not one.tried]
    assert tried == ["test_a.py::test_own_server", "test_a.py::test_plain"]
    assert verification.tests["test_a.py::test_tries_again"].refused == 3
    assert not [nodeid for nodeid, one in verification.tests.items() if one.is_surprise]
