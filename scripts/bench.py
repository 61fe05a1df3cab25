"""What svc-trace costs: medians over pairs of a bare and a traced run, taken in turn. Run by scripts/bench."""

from __future__ import annotations

import os
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

ROOT: Final = Path(__file__).resolve().parent.parent
SHOP: Final = ROOT / "examples" / "shop"
TRACED: Final = (sys.executable, "-m", "tracer", "--quiet", "-o", "/dev/null", "--")

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


def measure(pairs: int, figure: Callable[[tuple[str, ...]], float]) -> Pairs:
    """Take a figure bare (no prefix) and traced, in turn, after one of each that does not count."""
    runs = [(figure(()), figure(TRACED)) for _ in range(pairs + 1)][1:]
    return Pairs(tuple(bare for bare, _ in runs), tuple(traced for _, traced in runs))


def say(what: str, unit: str, pairs: Pairs, digits: int) -> None:
    """Print one line."""
    click.echo(
        f"{what:<34} bare {median(pairs.bare):>9.{digits}f} {unit:<3} traced {median(pairs.traced):>9.{digits}f} {unit:<3}"
        f" ratio {pairs.ratio:.3f}  difference {pairs.difference:+.{digits}f} {unit}"
    )


def told(prefix: tuple[str, ...], program: str, *arguments: str, cwd: Path = ROOT) -> float:
    """The figure that a Python program prints last."""
    command = [*prefix, sys.executable, "-c", program, *arguments]
    environment = os.environ | {"PYTHONPATH": str(ROOT)} if prefix else os.environ
    output = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, cwd=cwd, env=environment).stdout
    return float(output.split()[-1])


def start_up(prefix: tuple[str, ...]) -> float:
    """Milliseconds from here to a command's own first look at the clock."""
    began = time.time()
    output = subprocess.run([*prefix, "date", "+%s.%N"], stdout=subprocess.PIPE, text=True, check=True).stdout
    return (float(output) - began) * 1e3


@click.command()
@click.option("--pairs", default=11, show_default=True, help="Pairs of runs for each figure.")
@click.option("--queries", default=20_000, show_default=True, help="Queries of one run.")
@click.option("--sends", default=300_000, show_default=True, help="One-byte UDP sends of one run.")
@click.option("--tests", default=3_000, show_default=True, help="Empty tests of one run.")
def main(pairs: int, queries: int, sends: int, tests: int) -> None:
    """Print what svc-trace costs on this machine."""
    click.echo(f"medians of {pairs} pairs, bare and traced in turn; kernel {os.uname().release}")
    say("start-up to first instruction", "ms", measure(pairs, start_up), 1)
    say("psycopg2 SELECT 1, a query", "µs", measure(pairs, lambda by: told(by, QUERIES, str(queries))), 2)
    say("one-byte UDP send", "ns", measure(pairs, lambda by: told(by, SENDS, str(sends))), 0)
    say("example suite", "s", measure(pairs, lambda by: told(by, PYTEST, cwd=SHOP)), 3)
    with tempfile.TemporaryDirectory() as folder:
        suite = Path(folder, "test_empty.py")
        suite.write_text("".join(f"def test_{number}():\n    pass\n\n\n" for number in range(tests)))
        empty = measure(pairs, lambda by: told(by, PYTEST, folder))
    say(f"{tests:,} empty tests", "s", empty, 3)
    click.echo(f"{'the hook':<34} {empty.difference / tests * 1e6:.1f} µs a test")


if __name__ == "__main__":
    main()
