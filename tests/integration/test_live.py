"""What svc-trace shows on a terminal while the command runs, and before the summary."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import socket
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

import pyte
import pytest

from tracer.commands.live import LastRow

LIMIT_S: Final = 60.0
RUN: Final = (sys.executable, "-m", "tracer", "run")
SUITE: Final = """
import os, socket

def test_first():
    socket.create_connection(("127.0.0.1", int(os.environ["PORT"]))).send(b"ask")

def test_second():
    open(os.environ["GATE"]).read()  # until the terminal shows the first one
"""
COMMAND: Final = (sys.executable, "-m", "pytest", "-v", "-p", "no:cacheprovider")
FRAME: Final = re.compile(rb"\x1bD\x1b\[A|\x1b7[^\x1b]*(?:\x1b\[[^\x1b]*)*\x1b8")
"""What svc-trace adds to the command's output: within saved and restored cursors, and the first scroll."""


class Terminal:
    """A terminal that a program writes to, and what it shows."""

    def __init__(self, rows: int, columns: int) -> None:
        self._fd, self.inner = pty.openpty()
        self.written = b""
        self._screen = pyte.Screen(columns, rows)
        self._stream = pyte.ByteStream(self._screen)
        self.resize(rows, columns)

    def resize(self, rows: int, columns: int) -> None:
        """Give the terminal another size, as a user does."""
        fcntl.ioctl(self._fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        self._screen.resize(rows, columns)

    @property
    def scrolls_whole(self) -> bool:
        """Whether all rows scroll."""
        return self._screen.margins is None

    @property
    def rows(self) -> list[str]:
        """What it shows, without blanks at the ends."""
        return [row.rstrip() for row in self._screen.display]

    def read(self) -> bool:
        """Show the next part; whether there was one."""
        try:
            part = os.read(self._fd, 1 << 16)
        except OSError:  # EIO: no process has it any more
            return False
        self.written += part
        self._stream.feed(part)
        return bool(part)

    def read_all(self) -> None:
        """Read to the end."""
        while self.read():
            pass

    def until(self, happened: Callable[[], bool]) -> None:
        """Read until something is shown."""
        limit = time.monotonic() + LIMIT_S
        while not happened():
            assert time.monotonic() < limit, "\n".join(self.rows)
            assert self.read(), "\n".join(self.rows)

    def close(self) -> None:
        os.close(self._fd)


@contextmanager
def terminal(rows: int = 20, columns: int = 90) -> Iterator[Terminal]:
    one = Terminal(rows, columns)
    try:
        yield one
    finally:
        one.close()


@pytest.fixture
def environment(tmp_path: Path) -> Iterator[dict[str, str]]:
    """With the suite's server, and the suite and its configuration in `tmp_path`."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        (tmp_path / "test_it.py").write_text(SUITE)
        (tmp_path / "svc-trace.toml").write_text(f"[services.alpha]\nports = [{port}]\n")
        os.mkfifo(tmp_path / "gate")
        gone = {"COLUMNS", "LINES", "CI", "NO_COLOR", "PYTEST_ADDOPTS"}
        kept = {name: value for name, value in os.environ.items() if name not in gone}
        yield {
            **kept,
            "PORT": str(port),
            "GATE": str(tmp_path / "gate"),
            "TERM": "xterm-256color",
            "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
        }


@contextmanager
def started(shown: Terminal, *words: str, cwd: Path, environment: dict[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    """A program on the terminal."""
    command, terminal = ["setsid", "--ctty", *words], shown.inner
    process = subprocess.Popen(command, cwd=cwd, env=environment, stdin=terminal, stdout=terminal, stderr=terminal)
    os.close(shown.inner)
    with process:
        try:
            yield process
        finally:
            process.kill()


@pytest.mark.kernel
def test_the_last_row_shows_the_services_so_far(backend: str, tmp_path: Path, environment: dict[str, str]) -> None:
    words = (*RUN, "--live", "--backend", backend, "--", *COMMAND)
    with terminal() as shown, started(shown, *words, cwd=tmp_path, environment=environment) as process:
        first = re.compile(r"svc-trace: \d+:\d\d, 1 test; services so far: alpha")
        shown.until(lambda: bool(first.fullmatch(shown.rows[-1])))
        assert any(re.match(r"test_it\.py::test_first PASSED", row) for row in shown.rows)
        shown.until(lambda: any(row.startswith("test_it.py::test_second") for row in shown.rows))
        (tmp_path / "gate").write_text("")
        shown.read_all()
        assert process.wait(LIMIT_S) == 0
        assert not any("services so far" in row for row in shown.rows)
        command, _, summary = shown.written.partition(b"2 passed")
    assert b"alpha" in summary
    own = FRAME.sub(b"", command)
    assert b"svc-trace: " not in own
    assert b"test_it.py::test_first \x1b[32mPASSED\x1b[0m\x1b[32m" in own


@pytest.mark.kernel
def test_the_row_follows_the_size_of_the_terminal(tmp_path: Path, environment: dict[str, str]) -> None:
    with (
        terminal(20, 90) as shown,
        started(shown, *RUN, "--live", "-q", "--", *COMMAND, cwd=tmp_path, environment=environment) as process,
    ):
        shown.until(lambda: "services so far: alpha" in shown.rows[-1])
        shown.resize(12, 40)
        shown.until(lambda: re.fullmatch(r"svc-trace: \d+:\d\d, 1 test; services so fa", shown.rows[-1]) is not None)
        assert not shown.scrolls_whole
        (tmp_path / "gate").write_text("")
        shown.read_all()
        assert process.wait(LIMIT_S) == 0
        assert shown.scrolls_whole


def test_a_terminal_that_was_stopped_stops_nobody_and_gets_whole_frames() -> None:
    with terminal() as shown:
        row = LastRow(os.ttyname(shown.inner))
        os.set_blocking(shown.inner, False)
        for _ in range(5):
            with suppress(BlockingIOError):
                while True:
                    os.write(shown.inner, b"x" * 89 + b"\n")
            time.sleep(0.05)  # the kernel moves a part to the reader's buffer, once
        for turn in range(1000):
            row.show(f"turn {turn}")

        def is_shown() -> bool:
            row.show("the last")
            return shown.rows[-1] == "the last"

        shown.until(is_shown)
        row.close()
        os.close(shown.inner)
        shown.read_all()
        assert shown.rows[-1] == ""
        assert b"turn 999" not in shown.written


@pytest.mark.kernel
def test_a_line_before_the_summary_says_what_svc_trace_does(tmp_path: Path, environment: dict[str, str]) -> None:
    (tmp_path / "gate").unlink()
    (tmp_path / "gate").touch()
    with terminal() as shown, started(shown, *RUN, "--", *COMMAND, cwd=tmp_path, environment=environment) as process:
        shown.read_all()
        assert process.wait(LIMIT_S) == 0
    before, _, after = shown.written.partition("\r\x1b[Ksvc-trace: classifying 2 tests …".encode())
    assert b"2 passed" in before
    assert re.search(rb"\r\x1b\[KService", after) or after.count(b"\r\x1b[K") == 2  # the next line, and its end
    assert not any("…" in row for row in shown.rows)


@pytest.mark.kernel
@pytest.mark.parametrize("term", [None, "dumb"])
def test_what_is_no_terminal_gets_no_escapes(term: str | None, tmp_path: Path, environment: dict[str, str]) -> None:
    (tmp_path / "gate").unlink()
    (tmp_path / "gate").touch()
    words = (*RUN, "--live", "--", *COMMAND)
    if term is None:
        run = subprocess.run(words, cwd=tmp_path, env=environment, capture_output=True, check=True)
        written = run.stderr
    else:
        environment["TERM"] = term
        with terminal() as shown, started(shown, *words, cwd=tmp_path, environment=environment):
            shown.read_all()
            written = shown.written
    assert b"svc-trace: --live shows nothing" in written
    assert b"\x1b7" not in written
    assert b"classifying" not in written
