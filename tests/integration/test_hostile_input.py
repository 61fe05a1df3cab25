"""Files that are no reports: bombs, devices, FIFOs. Each reader ends with one error, in little memory and time."""

from __future__ import annotations

import gzip
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import pytest
from large_reports import PEAK_PROGRAM
from suites import classification, result

from tracer.classify.services.rules import Rules
from tracer.errors import ExitStatus
from tracer.reports import json_report
from tracer.trace.file import TraceWriter
from tracer.trace.input_file import LIMIT_VARIABLE
from tracer.trace.records import End, Run

PEAK_MB: Final = 160
TIMEOUT_S: Final = 60
HEADS: Final = {  # what a file begins with, so that its reader reads on
    "report": b'{"schema": "svc-trace/1", "x": "',
    "trace": b'{"schema": "svc-trace-trace/1", "columns": {}}\n',
    "verdicts": b'{"schema": "svc-trace-verify/1", "x": "',
    "baseline": b"# accepted\n",
    "configuration": b"# services\n",
    "collected": b"tests/test_a.py::test_b\n",
}
READERS: Final = {  # the command that reads FILE → its kind of file
    ("report", "FILE"): "report",
    ("explain", "FILE", "tests/test_a.py::test_b"): "trace",
    ("merge", "GOOD", "FILE", "-o", "OUTPUT"): "report",
    ("validate", "FILE"): "report",
    ("diff", "GOOD", "FILE"): "report",
    ("select", "FILE", "--within", ""): "report",
    ("select", "GOOD", "--within", "", "--verified", "FILE"): "verdicts",
    ("validate", "GOOD", "--baseline", "FILE"): "baseline",
    ("report", "GOOD.svctrace", "--config", "FILE"): "configuration",
    ("validate", "GOOD", "--config", "FILE"): "configuration",
    ("run", "--config", "FILE", "--", "true"): "configuration",
    ("select", "GOOD", "--within", "", "--collected", "FILE"): "collected",
}
each_reader = pytest.mark.parametrize(
    ("arguments", "kind"), [pytest.param(*reader, id=" ".join(reader[0])) for reader in READERS.items()]
)
BOMB: Final = gzip.compress(bytes(16 << 20)) * 256  # 4 MB, which unpack to 4 GB


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report, and beside it a trace."""
    path = tmp_path_factory.mktemp("good") / "report.json"
    path.write_bytes(b"".join(json_report.render(classification({"tests/test_a.py::test_b": result()}, (), Rules()))))
    with TraceWriter(path.with_suffix(".svctrace")) as writer:
        writer.write(Run(("pytest",), "libbpf", "6.18.0", 1763676000.0, 0, "/"))
        writer.write(End(1, 0, 0, 0))
    return path


def check(arguments: tuple[str, ...], good: Path, file: str, limit_mb: str = "", peak_mb: int = PEAK_MB) -> str:
    """Run a command on a hostile file. It must end with one error; returns its slug."""
    places = {
        "FILE": file,
        "GOOD": str(good),
        "GOOD.svctrace": str(good.with_suffix(".svctrace")),
        "OUTPUT": str(good.with_name("output.json")),
    }
    command = [sys.executable, "-c", PEAK_PROGRAM, *(places.get(word, word) for word in arguments)]
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
        env={**os.environ, LIMIT_VARIABLE: limit_mb},
        cwd=good.parent,
    )
    message, hint, peak = done.stderr.splitlines()
    configured = arguments[arguments.index("FILE") - 1] == "--config"
    assert done.returncode == (ExitStatus.BAD_CONFIG if configured else ExitStatus.BAD_INPUT), done.stderr
    assert message.startswith("svc-trace: error: ")
    assert file in message
    assert hint.endswith((".", "…"))
    assert int(peak) / 1024 <= peak_mb
    return message.rpartition(" [")[2].removesuffix("]")


def too_large(kind: str) -> str:
    return "config-unreadable" if kind == "configuration" else "input-too-large"


@each_reader
def test_a_bomb_is_refused_in_little_memory(arguments: tuple[str, ...], kind: str, good: Path, tmp_path: Path) -> None:
    (tmp_path / "bomb").write_bytes(gzip.compress(HEADS[kind]) + BOMB)
    assert check(arguments, good, str(tmp_path / "bomb")) == too_large(kind)


@each_reader
def test_an_endless_device_is_refused(arguments: tuple[str, ...], kind: str, good: Path) -> None:
    slugs = {"verdicts": "bad-verdicts", "baseline": "bad-baseline", "collected": "cannot-read"}
    slugs["configuration"] = "config-unreadable"
    assert check(arguments, good, "/dev/zero") == slugs.get(kind, "bad-report")


@each_reader
def test_a_fifo_without_a_writer_is_an_error_after_some_seconds(
    arguments: tuple[str, ...], kind: str, good: Path, tmp_path: Path
) -> None:
    os.mkfifo(tmp_path / "fifo")
    slug = "config-unreadable" if kind == "configuration" else "cannot-read"
    assert check(arguments, good, str(tmp_path / "fifo")) == slug


@pytest.fixture
def piped() -> Iterator[Callable[[bytes, bytes], str]]:
    """Makes a pipe to which a thread writes a head and then the same bytes for ever; returns its path."""
    threads: list[threading.Thread] = []
    ends: list[int] = []

    def start(head: bytes, then: bytes) -> str:
        reading, writing = os.pipe()
        ends.append(reading)

        def write() -> None:
            with os.fdopen(writing, "wb", buffering=0) as file:
                file.write(head)
                try:
                    while then:
                        file.write(then)
                except BrokenPipeError:
                    pass

        threads.append(threading.Thread(target=write))
        threads[-1].start()
        return f"/proc/{os.getpid()}/fd/{reading}"

    yield start
    for end in ends:
        os.close(end)
    for thread in threads:
        thread.join()


@pytest.mark.parametrize("then", [b"x" * 65536, b"#\n" * 32768], ids=["one line", "lines"])
@each_reader
def test_an_endless_pipe_is_refused(
    arguments: tuple[str, ...], kind: str, then: bytes, good: Path, piped: Callable[[bytes, bytes], str]
) -> None:
    slug = check(arguments, good, piped(HEADS[kind], then), limit_mb="24", peak_mb=PEAK_MB)
    lines_too_long = {"trace": "bad-trace", "baseline": "bad-baseline", "collected": "cannot-read"}
    wrong = kind == "trace" or then.startswith(b"x")
    assert slug == (lines_too_long.get(kind, too_large(kind)) if wrong else too_large(kind))


def test_a_pipe_is_read_once(good: Path, piped: Callable[[bytes, bytes], str]) -> None:
    """As `report <(zcat x.json.gz)` and `report <(cat run.svctrace)` give it."""
    for path in (good, good.with_suffix(".svctrace")):
        pipe = piped(path.read_bytes(), b"")
        subprocess.run([sys.executable, "-m", "tracer", "report", pipe], capture_output=True, check=True)


def test_a_fifo_by_name_is_read(good: Path, tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    reader = subprocess.Popen([sys.executable, "-m", "tracer", "report", fifo], stdout=subprocess.DEVNULL)
    fifo.write_bytes(good.read_bytes())
    assert reader.wait(TIMEOUT_S) == 0


@pytest.mark.parametrize(("limit", "status"), [("1", 65), ("2", 0), ("", 0), ("abc", 64), ("0", 64)])
def test_the_limit_can_be_set(limit: str, status: int, good: Path, tmp_path: Path) -> None:
    large = tmp_path / "large.json"
    large.write_bytes(good.read_bytes() + b" " * (1 << 20))
    environment = {**os.environ, LIMIT_VARIABLE: limit}
    command = [sys.executable, "-m", "tracer", "report", str(large)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == status
    assert LIMIT_VARIABLE in done.stderr or status == 0
