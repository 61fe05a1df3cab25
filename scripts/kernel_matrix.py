"""Runs the truth suite and tests/kernel on stock Debian kernels with libbpf and bcc. Run by scripts/test-kernels."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import click
from kernels import KernelError, stock_kernel
from vm import GuestError, Machine, accelerator_option

ROOT: Final = Path(__file__).resolve().parent.parent
KERNELS: Final = {"6.1": ("answers", "unix_programs"), "6.12": ()}
"""Debian 12's own kernel, without the tracepoint `sock_send_length`, and its backport, with it. The features of
tests/machine.py that each is too old for: tests that require them are skipped.
"""
BACKENDS: Final = ("libbpf", "bcc")
"""strace is left out: it uses nothing that differs between kernels."""
TESTS: Final = (
    "tests/kernel",
    "tests/truth",
    "tests/integration/test_example_classification.py::test_all_backends_report_the_same",
)
LIMIT_S: Final = 6 * 3600.0
"""For all tests on one kernel, emulated."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result on one kernel."""

    series: str
    duration_s: float
    problem: str | None  # None: all tests passed


def outcomes(kernels: list[str], accelerator: str, tests: list[str]) -> Iterator[Outcome]:
    """Run the tests on each kernel, also after a failure on another one."""
    few_plugins = [
        "env",
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD=1",
    ]  # in emulation, loading all that are installed takes half a minute
    pytest = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-p", "xdist", "-n", str(os.cpu_count())]
    for series in kernels:
        click.secho(f"test-kernels: {series}", bold=True)
        began_s = time.monotonic()
        problem = None
        try:
            machine = Machine(stock_kernel(series), accelerator)
            lacking = (f"--may-lack={feature}" for feature in KERNELS[series])
            if status := machine.run([*few_plugins, *pytest, "--must-run", *lacking, *tests], LIMIT_S):
                problem = f"pytest's exit status is {status}"
        except (KernelError, GuestError) as error:
            problem = str(error)
        yield Outcome(series, time.monotonic() - began_s, problem)


@click.command(context_settings={"ignore_unknown_options": True})
@click.option(
    "--kernel", type=click.Choice([*KERNELS, "all"]), default="all", help="The kernel's series.  [default: all]"
)
@click.option("--backend", type=click.Choice([*BACKENDS, "all"]), default="all", help="The backend.  [default: all]")
@accelerator_option
@click.argument("tests", nargs=-1, type=click.UNPROCESSED)
def main(kernel: str, backend: str, accelerator: str, tests: tuple[str, ...]) -> None:
    """Run TESTS in virtual machines with stock Debian kernels. TESTS are arguments and options of pytest."""
    # The guests have no network, so the environments of the scenarios are made here.
    subprocess.run([sys.executable, "-m", "truth"], env={**os.environ, "PYTHONPATH": str(ROOT / "tests")}, check=True)
    kernels = [*KERNELS] if kernel == "all" else [kernel]
    backends = [*BACKENDS] if backend == "all" else [backend]
    chosen = [f"--backend={name}" for name in backends]
    named = any(Path(test.partition("::")[0]).exists() for test in tests)
    results = [*outcomes(kernels, accelerator, [*chosen, *(() if named else TESTS), *tests])]
    for outcome in results:
        click.echo(
            f"test-kernels: {outcome.series:<5} {outcome.duration_s / 60:5.1f} min  {' and '.join(backends)}  "
            f"{outcome.problem or 'passed'}"
        )
    sys.exit(any(outcome.problem for outcome in results))


if __name__ == "__main__":
    os.chdir(ROOT)
    main()
