"""Measures what svc-trace costs: medians over pairs of a bare run and a traced run. Run by scripts/bench."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median
from typing import Final

import click
from large_runs import TRACER, database_suite, idle, many_sends, print_large_run, quick_suite

from tracer.record.capture.backends import BACKENDS
from tracer.record.capture.bpf.libbpf import LibbpfBackend
from tracer.record.capture.protocol import Backend

ROOT: Final = Path(__file__).resolve().parent.parent
SHOP: Final = ROOT / "examples" / "shop"
DATABASE_PAUSE_S: Final = 0.01
"""How long a test of the database suite waits. In all, a test of SQLAlchemy's suite takes 13 ms."""
IDLE_S: Final = 10.0
STRACE_DIVISOR: Final = 50
"""strace gets so many times fewer sends than the other backends, because it stops the sender at each."""

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

WAKE_UPS: Final = """
import os, sys, time
os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
count, one, read, write = int(sys.argv[1]), b"1", os.read, os.write
asking, asked = os.pipe()
answering, answered = os.pipe()
if os.fork() == 0:
    for _ in range(count):
        read(asking, 1)
        write(answered, one)
    os._exit(0)
times = []
for _ in range(count // 200):
    began = time.perf_counter()
    for _ in range(200):
        write(asked, one)
        read(answering, 1)
    times.append(time.perf_counter() - began)
print(min(times) / 200 * 1e9)
"""

WITHOUT_CAUSES: Final = """
from functools import partial
from tracer.commands import main
from tracer.record.capture.backends import BACKENDS
from tracer.record.capture.bpf.libbpf import LibbpfBackend
BACKENDS["libbpf"] = partial(LibbpfBackend, causes=False)
raise SystemExit(main())
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
    '''Unregisters the hook for every second block of 50 tests, and measures the time of each test.'''
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


def traced(backend: str) -> tuple[str, ...]:
    """The words before a command that trace it with this backend."""
    return (sys.executable, "-I", "-m", "tracer", *options(backend))


def options(backend: str) -> tuple[str, ...]:
    """The options of svc-trace before a command."""
    return ("--quiet", "-o", "/dev/null", "--backend", backend, "--")


@dataclass(frozen=True, slots=True)
class Pairs:
    """Figures of pairs of a bare and a traced run."""

    bare: tuple[float, ...]
    traced: tuple[float, ...]

    @property
    def ratio(self) -> float:
        """Median of traced / bare over the pairs."""
        return median(traced / bare for bare, traced in zip(self.bare, self.traced, strict=True))

    @property
    def difference(self) -> float:
        """Median of traced - bare over the pairs."""
        return median(traced - bare for bare, traced in zip(self.bare, self.traced, strict=True))


def measure(pairs: int, backend: str, run: Callable[[tuple[str, ...]], float]) -> Pairs:
    """Measure a figure bare (`run` gets no prefix) and traced in turn. The first pair does not count."""
    return in_turn(pairs, partial(run, ()), partial(run, traced(backend)))


def in_turn(pairs: int, first: Callable[[], float], second: Callable[[], float]) -> Pairs:
    """Measure both in turn. The first pair does not count."""
    runs = [(first(), second()) for _ in range(pairs + 1)][1:]
    return Pairs(*zip(*runs, strict=True))


def beside(backend: Backend, run: Callable[[], float]) -> float:
    """Measure while a backend's probes are loaded, and trace nothing."""
    with closing(backend.start()) as loaded:
        _ = loaded.lacks_causes  # waits for the end of the trial
        return run()


def print_pairs(what: str, unit: str, pairs: Pairs, digits: int) -> None:
    """Print the line of a figure."""
    bare, traced = (f"{median(figures):>9.{digits}f} {unit:<3}" for figures in (pairs.bare, pairs.traced))
    difference = f"{pairs.difference:+.{digits}f} {unit}"
    click.echo(f"{what:<34} without {bare} with {traced} ratio {pairs.ratio:.3f}  difference {difference}")


def figure_of(program: str, *arguments: str, cwd: Path = ROOT) -> Callable[[tuple[str, ...]], float]:
    """A function for `measure` that runs a Python program and returns the number at the end of its output."""

    def run(prefix: tuple[str, ...]) -> float:
        command = [*prefix, sys.executable, "-c", program, *arguments]
        output = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, cwd=cwd).stdout
        return float(output.split()[-1])

    return run


def start_up(prefix: tuple[str, ...]) -> float:
    """Milliseconds from now until the command reads the clock."""
    began = time.time()
    output = subprocess.run([*prefix, "date", "+%s.%N"], stdout=subprocess.PIPE, text=True, check=True).stdout
    return (float(output) - began) * 1e3


def time_wake_ups(backend: str, pairs: int, rounds: int) -> None:
    """Print what a round of two processes costs, each of which wakes the other, within the traced tree and outside."""
    run = figure_of(WAKE_UPS, str(rounds))
    print_pairs("two wake-ups, traced", "ns", measure(pairs, backend, run), 0)
    outside = in_turn(pairs, partial(run, ()), lambda: beside(BACKENDS[backend](), partial(run, ())))
    print_pairs("two wake-ups, outside of the tree", "ns", outside, 0)


def time_causes(pairs: int, rounds: int) -> None:
    """Print what libbpf's probes at wake-ups cost: a round of `time_wake_ups` without and with them.

    All other probes are loaded in both.
    """
    run = figure_of(WAKE_UPS, str(rounds))
    without = (sys.executable, "-I", "-c", WITHOUT_CAUSES, *options("libbpf"))
    inside = in_turn(pairs, partial(run, without), partial(run, traced("libbpf")))
    print_pairs("probes at wake-ups, traced", "ns", inside, 0)
    outside = in_turn(
        pairs,
        lambda: beside(LibbpfBackend(causes=False), partial(run, ())),
        lambda: beside(LibbpfBackend(), partial(run, ())),
    )
    print_pairs("probes at wake-ups, outside", "ns", outside, 0)


def time_hook(tests: int) -> tuple[float, float]:
    """Microseconds that an empty test takes without and with the hook: medians of alternating blocks of one traced run.

    Between two runs the time of an empty test varies by more than the hook costs; within one run it does not. pytest
    loads no installed plugins.
    """
    with tempfile.TemporaryDirectory() as directory:
        Path(directory, "test_empty.py").write_text("".join(f"def test_{number}(): pass\n" for number in range(tests)))
        Path(directory, "toggle.py").write_text(TOGGLE)
        pytest = (sys.executable, "-m", "pytest", "-q", "-p", "toggle", "-p", "no:cacheprovider", ".")
        environment = os.environ | {
            "PYTHONPATH": directory,
            "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
        }
        subprocess.run(
            [*traced("auto"), *pytest], cwd=directory, env=environment, stdout=subprocess.DEVNULL, check=True
        )
        bare, hooked = map(float, Path(directory, "times").read_text().split())
    return bare, hooked


def memory(backend: str) -> float:
    """Peak memory in megabytes while a minimal command is traced: the tracer's plus that of strace."""
    command = [sys.executable, "-I", "-c", TRACER, "--quiet", "-o", "/dev/null", "--backend", backend, "--"]
    output = subprocess.run(
        [*command, sys.executable, "-c", STRACE_MEMORY], stdout=subprocess.PIPE, check=True
    ).stdout.split()
    return (int(output[0]) + int(output[-2])) * 1024 / 1e6


def print_cpu(backend: str, runs: int, tests: int) -> None:
    """Print the CPU time that the tracer uses for a test of the database suite, and for a run without any event."""
    suites = [database_suite(tests, DATABASE_PAUSE_S, backend) for _ in range(runs)]
    idles = [idle(IDLE_S, backend) for _ in range(runs)]
    recording = median(suite.recording_s for suite in suites)
    once = median(run.cpu_s - run.recording_s for run in idles)
    report = median(suite.cpu_s - suite.recording_s for suite in suites) - once
    idling = median(run.recording_s for run in idles) / IDLE_S
    click.echo(
        f"{'tracer, CPU, database suite':<34} {recording / tests * 1e3:.2f} ms a test while it runs, "
        f"{report / tests * 1e3:.2f} ms a test for the report; {idling * 1e3:.1f} ms an idle second; "
        f"{once * 1e3:.0f} ms once"
    )


def compare(backends: tuple[str, ...], pairs: int, queries: int, sends: int, database: int) -> None:
    """Print what each backend costs, and then the same as a Markdown table."""
    rows = []
    for backend in backends:
        click.echo(f"backend {backend}")
        count = sends // STRACE_DIVISOR if backend == "strace" else sends
        start = measure(pairs, backend, start_up)
        print_pairs("start-up to first instruction", "ms", start, 1)
        query = measure(pairs, backend, figure_of(QUERIES, str(queries)))
        print_pairs("psycopg2 SELECT 1, a query", "µs", query, 2)
        send = measure(pairs, backend, figure_of(SENDS, str(count)))
        print_pairs("one-byte UDP send", "ns", send, 0)
        if backend != "strace":  # it observes no wake-ups
            time_wake_ups(backend, pairs, sends)
        if backend == "libbpf":
            time_causes(pairs, sends)
        suite = measure(pairs, backend, figure_of(PYTEST, cwd=SHOP))
        print_pairs("example suite", "s", suite, 3)
        print_cpu(backend, min(pairs, 3), database)
        megabytes = memory(backend)
        click.echo(f"{'peak memory':<34} {megabytes:.0f} MB")
        rows.append(
            f"| {backend} | {start.difference:+.0f} ms | {megabytes:.0f} MB | {send.difference:+,.0f} ns "
            f"| {query.ratio:.2f} | {suite.ratio:.2f} |"
        )
    click.echo("| backend | start-up | memory | a UDP send | psycopg2 | example suite |\n|" + " --- |" * 6)
    click.echo("\n".join(rows))


@click.command()
@click.option(
    "--backend", type=click.Choice(list(BACKENDS)), multiple=True, help="Measure only this backend; repeatable."
)
@click.option("--pairs", default=11, show_default=True, help="Pairs of runs for each figure.")
@click.option("--queries", default=20_000, show_default=True, help="Queries of one run.")
@click.option("--sends", default=300_000, show_default=True, help="One-byte UDP sends of one run.")
@click.option("--tests", default=3_000, show_default=True, help="Empty tests of one run.")
@click.option("--database", default=2_000, show_default=True, help="Tests of the database suite.")
@click.option("--suite", default=30_000, show_default=True, help="Tests of the quick suite.")
@click.option("--many", default=5_000_000, show_default=True, help="Sends of one test.")
def main(
    backend: tuple[str, ...],
    pairs: int,
    queries: int,
    sends: int,
    tests: int,
    database: int,
    suite: int,
    many: int,
) -> None:
    """Measure what svc-trace costs on this machine."""
    click.echo(f"medians of {pairs} pairs of a bare and a traced run; kernel {os.uname().release}")
    compare(backend or tuple(BACKENDS), pairs, queries, sends, database)
    runs = [time_hook(tests) for _ in range(min(pairs, 5))]
    print_pairs(f"an empty test of {tests:,}, the hook", "µs", Pairs(*zip(*runs, strict=True)), 1)
    print_large_run(f"{suite:,} tests, 3 services", quick_suite(suite))
    for count in (1, many):
        print_large_run(f"one test, {count:,} sends", many_sends(count))


if __name__ == "__main__":
    main()
