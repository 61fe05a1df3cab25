"""What svc-trace costs: medians over pairs of a bare and a traced run, taken in turn. Run by scripts/bench."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Final

import click
from generated_suite import peers, write_suite

from tracer.record.capture.backends import BACKENDS
from tracer.trace.file import read_trace

ROOT: Final = Path(__file__).resolve().parent.parent
SHOP: Final = ROOT / "examples" / "shop"
SLOW: Final = 50
"""By how much fewer sends a backend gets that stops the sender at each: strace."""

QUERIES: Final = """
import os, sys, time, psycopg2
connection = psycopg2.connect(os.environ["SHOP_POSTGRES_DSN"])
cursor = connection.cursor()
count = int(sys.argv[1])
began = time.perf_counter()
for _ in range(count):
    cursor.execute("SELECT 1")
print((time.perf_counter() - began) / count * 1e6)
"""

SENDS: Final = """
import socket, sys, time
receiver = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
receiver.bind(("127.0.0.1", 0))
sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sender.connect(receiver.getsockname())
send, count = sender.send, int(sys.argv[1])
began = time.perf_counter()
for _ in range(count):
    send(b"x")
print((time.perf_counter() - began) / count * 1e9)
"""

PYTEST: Final = """
import subprocess, sys, time
began = time.perf_counter()
subprocess.run([sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *sys.argv[1:]],
               stdout=subprocess.DEVNULL, check=True)
print(time.perf_counter() - began)
"""


TOGGLE: Final = """
import statistics, time, pytest

class Toggle:
    '''Takes the hook out of every other block of 50 tests, and times each test.'''
    def __init__(self, manager):
        self.manager, self.hook, self.on, self.count, self.times = manager, None, True, 0, {True: [], False: []}
    @pytest.hookimpl(hookwrapper=True, tryfirst=True)
    def pytest_runtest_protocol(self):
        self.hook = self.hook or next(p for p in self.manager.get_plugins() if type(p).__name__ == "Boundaries")
        self.count += 1
        if self.count % 50 == 0:
            self.on = not self.on
            (self.manager.register if self.on else self.manager.unregister)(self.hook)
        began = time.perf_counter()
        yield
        self.times[self.on].append(time.perf_counter() - began)
    def pytest_unconfigure(self):
        with open("times", "w") as file:
            print(*(statistics.median(self.times[on]) * 1e6 for on in (False, True)), file=file)

def pytest_configure(config):
    config.pluginmanager.register(Toggle(config.pluginmanager))
"""

STRACE_MEMORY: Final = """
status = dict(line.split(":", 1) for line in open("/proc/self/status"))
tracer = status["TracerPid"].strip()
print(dict(line.split(":", 1) for line in open(f"/proc/{tracer}/status"))["VmHWM"].split()[0] if int(tracer) else 0)
"""

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
# The tracer, and last on its standard output its own peak of memory in KiB and seconds of CPU, without its children's.
import atexit, os, resource, runpy
def tell(own=os.getpid()):
    if os.getpid() == own:
        status = dict(line.split(":") for line in open("/proc/self/status"))
        used = resource.getrusage(resource.RUSAGE_SELF)
        print(status["VmHWM"].split()[0], used.ru_utime + used.ru_stime)
atexit.register(tell)
runpy.run_module("tracer", run_name="__main__", alter_sys=True)
"""


@dataclass(frozen=True, slots=True)
class Scale:
    """What one traced run took of the machine."""

    suite_s: float
    after_s: float  # from the command's end to the tracer's: the report written, the summary printed
    cpu_s: float  # the tracer's own, recording and all
    peak_bytes: int  # the tracer's resident memory
    trace_bytes: int


def traced(backend: str) -> tuple[str, ...]:
    """What stands before a command that is traced by this backend."""
    return (sys.executable, "-m", "tracer", "--quiet", "-o", "/dev/null", "--backend", backend, "--")


@dataclass(frozen=True, slots=True)
class Pairs:
    """Figures of paired runs, in turn bare and traced."""

    bare: tuple[float, ...]
    traced: tuple[float, ...]

    @property
    def ratio(self) -> float:
        """Median of traced / bare, pair by pair."""
        return median(traced / bare for bare, traced in zip(self.bare, self.traced, strict=True))

    @property
    def difference(self) -> float:
        """Median of traced - bare, pair by pair."""
        return median(traced - bare for bare, traced in zip(self.bare, self.traced, strict=True))


def measure(pairs: int, backend: str, figure: Callable[[tuple[str, ...]], float]) -> Pairs:
    """Take a figure bare (no prefix) and traced, in turn, after one of each that does not count."""
    runs = [(figure(()), figure(traced(backend))) for _ in range(pairs + 1)][1:]
    return Pairs(tuple(bare for bare, _ in runs), tuple(traced for _, traced in runs))


def say(what: str, unit: str, pairs: Pairs, digits: int) -> None:
    """Print one line."""
    bare, traced = (f"{median(figures):>9.{digits}f} {unit:<3}" for figures in (pairs.bare, pairs.traced))
    difference = f"{pairs.difference:+.{digits}f} {unit}"
    click.echo(f"{what:<34} without {bare} with {traced} ratio {pairs.ratio:.3f}  difference {difference}")


def told(program: str, *arguments: str, cwd: Path = ROOT) -> Callable[[tuple[str, ...]], float]:
    """The figure that a Python program prints last, for `measure`."""

    def figure(prefix: tuple[str, ...]) -> float:
        command = [*prefix, sys.executable, "-c", program, *arguments]
        environment = os.environ | {"PYTHONPATH": str(ROOT)} if prefix else os.environ
        output = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, cwd=cwd, env=environment).stdout
        return float(output.split()[-1])

    return figure


def start_up(prefix: tuple[str, ...]) -> float:
    """Milliseconds from here to a command's own first look at the clock."""
    began = time.time()
    output = subprocess.run([*prefix, "date", "+%s.%N"], stdout=subprocess.PIPE, text=True, check=True).stdout
    return (float(output) - began) * 1e3


def hook(tests: int) -> tuple[float, float]:
    """Microseconds an empty test takes without and with the hook: medians of alternating blocks of one traced run.

    From run to run an empty test differs by more than the hook costs; within one run it does not. pytest loads none of
    the plugins that happen to be installed.
    """
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "test_empty.py").write_text("".join(f"def test_{number}(): pass\n" for number in range(tests)))
        Path(folder, "toggle.py").write_text(TOGGLE)
        pytest = (sys.executable, "-m", "pytest", "-q", "-p", "toggle", "-p", "no:cacheprovider", ".")
        environment = os.environ | {
            "PYTHONPATH": f"{ROOT}{os.pathsep}{folder}",
            "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
        }
        subprocess.run([*traced("auto"), *pytest], cwd=folder, env=environment, stdout=subprocess.DEVNULL, check=True)
        bare, hooked = map(float, Path(folder, "times").read_text().split())
    return bare, hooked


def scale(folder: Path, environment: dict[str, str]) -> Scale:
    """Trace the suite in a folder."""
    trace = folder / "run.svctrace"
    options = ("-o", "report.json", "--trace", trace.name)
    pytest = (sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider")
    output = subprocess.run(
        [sys.executable, "-c", TRACER, *options, "--", *pytest],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT)} | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        check=True,
    ).stdout
    exit_ns = time.monotonic_ns()
    told = read_trace(trace)
    assert told.end is not None
    assert told.complete
    *_, peak_kib, cpu_s = output.split()
    return Scale(
        (told.end.end_ns - told.run.start_ns) / 1e9,
        (exit_ns - told.end.end_ns) / 1e9,
        float(cpu_s),
        int(peak_kib) * 1024,
        trace.stat().st_size,
    )


def memory(backend: str) -> float:
    """Megabytes that tracing the smallest of commands takes at its peak: the tracer's, and strace's own."""
    command = [sys.executable, "-c", TRACER, "--quiet", "-o", "/dev/null", "--backend", backend, "--"]
    output = subprocess.run(
        [*command, sys.executable, "-c", STRACE_MEMORY],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        check=True,
    ).stdout.split()
    return (int(output[0]) + int(output[-2])) * 1024 / 1e6


def compare(backends: tuple[str, ...], pairs: int, queries: int, sends: int) -> None:
    """Print what each backend costs, and all of it once more as the rows of a Markdown table."""
    rows = []
    for backend in backends:
        click.echo(f"backend {backend}")
        count = sends // SLOW if backend == "strace" else sends
        start = measure(pairs, backend, start_up)
        say("start-up to first instruction", "ms", start, 1)
        query = measure(pairs, backend, told(QUERIES, str(queries)))
        say("psycopg2 SELECT 1, a query", "µs", query, 2)
        send = measure(pairs, backend, told(SENDS, str(count)))
        say("one-byte UDP send", "ns", send, 0)
        suite = measure(pairs, backend, told(PYTEST, cwd=SHOP))
        say("example suite", "s", suite, 3)
        megabytes = memory(backend)
        click.echo(f"{'peak memory':<34} {megabytes:.0f} MB")
        rows.append(
            f"| {backend} | {start.difference:+.0f} ms | {megabytes:.0f} MB | {send.difference:+,.0f} ns "
            f"| {query.ratio:.2f} | {suite.ratio:.2f} |"
        )
    click.echo("| backend | start-up | memory | a UDP send | psycopg2 | example suite |\n|" + " --- |" * 6)
    click.echo("\n".join(rows))


def large_suite(tests: int) -> Scale:
    """Trace a generated suite that talks to three services."""
    with tempfile.TemporaryDirectory() as folder, peers() as ports:
        write_suite(Path(folder), tests)
        return scale(Path(folder), {"BENCH_PORTS": ports})


def many_sends(sends: int) -> Scale:
    """Trace one test that sends so often."""
    with tempfile.TemporaryDirectory() as folder, socket.socket(type=socket.SOCK_DGRAM) as receiver:
        receiver.bind(("127.0.0.1", 0))
        Path(folder, "test_many.py").write_text(MANY_SENDS)
        return scale(Path(folder), {"BENCH_PORTS": str(receiver.getsockname()[1]), "BENCH_SENDS": str(sends)})


def say_scale(what: str, taken: Scale) -> None:
    """Print one line."""
    click.echo(
        f"{what:<34} suite {taken.suite_s:.1f} s, then {taken.after_s:.1f} s  tracer's CPU {taken.cpu_s:.1f} s  "
        f"peak memory {taken.peak_bytes / 1e6:.0f} MB  trace {taken.trace_bytes:,} bytes"
    )


@click.command()
@click.option("--backend", type=click.Choice(list(BACKENDS)), multiple=True, help="Measure this one only; repeatable.")
@click.option("--pairs", default=11, show_default=True, help="Pairs of runs for each figure.")
@click.option("--queries", default=20_000, show_default=True, help="Queries of one run.")
@click.option("--sends", default=300_000, show_default=True, help="One-byte UDP sends of one run.")
@click.option("--tests", default=3_000, show_default=True, help="Empty tests of one run.")
@click.option("--suite", default=30_000, show_default=True, help="Tests of the generated suite.")
@click.option("--many", default=5_000_000, show_default=True, help="Sends of one test.")
def main(backend: tuple[str, ...], pairs: int, queries: int, sends: int, tests: int, suite: int, many: int) -> None:
    """Print what svc-trace costs on this machine."""
    click.echo(f"medians of {pairs} pairs, bare and traced in turn; kernel {os.uname().release}")
    compare(backend or tuple(BACKENDS), pairs, queries, sends)
    runs = [hook(tests) for _ in range(min(pairs, 5))]
    say(f"an empty test of {tests:,}, the hook", "µs", Pairs(*zip(*runs, strict=True)), 1)
    say_scale(f"{suite:,} tests, 3 services", large_suite(suite))
    for count in (1, many):
        say_scale(f"one test, {count:,} sends", many_sends(count))


if __name__ == "__main__":
    main()
