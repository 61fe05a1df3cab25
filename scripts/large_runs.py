"""Large traced runs of the benchmark, and the resources that they use."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import click
from generated_suite import peers, write_database_suite, write_quick_suite

from tracer.trace.file import read_trace

MANY_SENDS: Final = """
import os, socket
def test_many_sends():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.connect(("127.0.0.1", int(os.environ["BENCH_PORTS"])))
        send = sender.send
        for _ in range(int(os.environ["BENCH_SENDS"])):
            send(b"x")
"""

TRACER: Final = """
# Runs the tracer. Its last line of output has its own peak memory in KiB and CPU seconds, without its children's.
import atexit, os, resource, runpy
def print_usage(own=os.getpid()):
    if os.getpid() == own:
        status = dict(line.split(":") for line in open("/proc/self/status"))
        used = resource.getrusage(resource.RUSAGE_SELF)
        print(status["VmHWM"].split()[0], used.ru_utime + used.ru_stime)
atexit.register(print_usage)
runpy.run_module("tracer", run_name="__main__", alter_sys=True)
"""

COMMAND: Final = """
# Runs a command. Then prints the CPU seconds that the parent, the tracer, used meanwhile.
import os, subprocess, sys
def used(tracer=os.getppid()):
    with open(f"/proc/{tracer}/stat") as file:
        fields = file.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
before = used()
subprocess.run(sys.argv[1:], check=True)
print(used() - before)
"""


@dataclass(frozen=True, slots=True)
class LargeRun:
    """The resources that one large traced run used."""

    suite_s: float
    after_s: float  # from the command's end to the tracer's, which writes the report and prints the summary
    cpu_s: float  # of the tracer, from its start to its end
    recording_s: float  # the part of it while the command ran
    peak_bytes: int  # resident memory of the tracer
    trace_bytes: int


def trace_command(directory: Path, environment: dict[str, str], backend: str, *command: str) -> LargeRun:
    """Trace a command in a directory."""
    path = directory / "run.svctrace"
    options = ("--backend", backend, "-o", "report.json", "--trace", path.name)
    output = subprocess.run(
        [sys.executable, "-I", "-c", TRACER, *options, "--", sys.executable, "-c", COMMAND, *command],
        cwd=directory,
        env=os.environ | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        check=True,
    ).stdout
    exit_ns = time.monotonic_ns()
    trace = read_trace(path)
    assert trace.end is not None
    assert trace.complete
    *_, recording_s, peak_kib, cpu_s = output.split()
    return LargeRun(
        (trace.end.end_ns - trace.run.start_ns) / 1e9,
        (exit_ns - trace.end.end_ns) / 1e9,
        float(cpu_s),
        float(recording_s),
        int(peak_kib) * 1024,
        path.stat().st_size,
    )


def trace_suite(directory: Path, environment: dict[str, str], backend: str = "auto") -> LargeRun:
    """Trace the suite in a directory."""
    return trace_command(
        directory, environment, backend, sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"
    )


def quick_suite(tests: int) -> LargeRun:
    """Trace a generated suite that uses three services."""
    with tempfile.TemporaryDirectory() as directory, peers() as ports:
        write_quick_suite(Path(directory), tests)
        return trace_suite(Path(directory), {"BENCH_PORTS": ports})


def database_suite(tests: int, pause_s: float, backend: str) -> LargeRun:
    """Trace a generated suite with ten boundaries and twelve sends in each test, which also waits for some time."""
    with tempfile.TemporaryDirectory() as directory, peers() as ports:
        write_database_suite(Path(directory), tests)
        return trace_suite(Path(directory), {"BENCH_PORTS": ports, "BENCH_PAUSE_S": str(pause_s)}, backend)


def idle(seconds: float, backend: str) -> LargeRun:
    """Trace a command that does nothing for this time."""
    with tempfile.TemporaryDirectory() as directory:
        return trace_command(Path(directory), {}, backend, "sleep", str(seconds))


def many_sends(sends: int) -> LargeRun:
    """Trace one test with this number of sends."""
    with tempfile.TemporaryDirectory() as directory, socket.socket(type=socket.SOCK_DGRAM) as receiver:
        receiver.bind(("127.0.0.1", 0))
        Path(directory, "test_many.py").write_text(MANY_SENDS)
        return trace_suite(Path(directory), {"BENCH_PORTS": str(receiver.getsockname()[1]), "BENCH_SENDS": str(sends)})


def print_large_run(what: str, run: LargeRun) -> None:
    """Print the line of a large run."""
    click.echo(
        f"{what:<34} suite {run.suite_s:.1f} s, then {run.after_s:.1f} s  tracer's CPU {run.cpu_s:.1f} s  "
        f"peak memory {run.peak_bytes / 1e6:.0f} MB  trace {run.trace_bytes:,} bytes"
    )
