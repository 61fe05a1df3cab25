"""What pytest knows about a suite before a test runs: `pytest --collect-only` as a child, with a time limit."""

from __future__ import annotations

import configparser
import os
import select
import shutil
import signal
import subprocess
import sys
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from time import monotonic
from typing import Final

from msgspec import Struct

from tracer.errors import SvcTraceError, printable
from tracer.record.run_directory import RunDirectory
from tracer.trace.input_file import MB, opened
from tracer.trace.json_codec import load
from tracer.trace.records import StaticFacts

_CONFIGURATIONS: Final = (
    *(("pytest.ini", "pytest"), (".pytest.ini", "pytest"), ("pyproject.toml", None)),
    *(("tox.ini", "pytest"), ("setup.cfg", "tool:pytest")),
)
"""File → its section for pytest; None: TOML."""
_VARIABLE: Final = "SVC_TRACE_LISTING"
_OPTIONS: Final = ("--collect-only", "-q", "-p", "svc_trace_hook.listing")
_LARGEST: Final = 256 * MB
"""Bytes of a listing. That of 30,000 tests, with facts of their own, has some 20 MB."""
_KEPT: Final = 1 << 14
"""Bytes of pytest's output that are kept, from its end."""
_Facts = tuple[str, tuple[str, ...], tuple[str, ...], tuple[str, ...]]  # path, fixtures, markers, bases


class Listing(Struct, frozen=True):
    """What `svc_trace_hook/listing.py` writes."""

    tests: tuple[tuple[_Facts, int], ...] = ()  # facts, and how many tests have them
    markers: tuple[str, ...] = ()  # lines of the option `markers`, which registers them
    modules: tuple[str, ...] = ()  # the top-level modules that are loaded
    databases: tuple[tuple[str, str], ...] = ()  # of Django: engine and port
    errors: int = 0  # files that could not be collected

    def facts(self) -> dict[StaticFacts, int]:
        """The facts of the tests, and how many tests have them."""
        return {StaticFacts(*facts): number for facts, number in self.tests}


class Suite(Struct, frozen=True):
    """The result of a collection."""

    listing: Listing
    problem: str = ""  # why there is no listing; empty: there is one


def pytest_program(directory: Path, environment: Mapping[str, str]) -> str | None:
    """The pytest of a user in a directory; None: there is none.

    It is in PATH, or beside this interpreter. If no virtual environment is active, that of `.venv` is before these.
    """
    places = [environment.get("PATH", os.defpath), str(Path(sys.executable).parent)]
    if "VIRTUAL_ENV" not in environment:
        places.insert(0, str(directory / ".venv" / "bin"))
    return next((found for place in places if (found := shutil.which("pytest", path=place))), None)


def registered_markers(directory: Path) -> tuple[str, ...]:
    """The markers that a suite registers in the first file that configures pytest; empty if that cannot be read.

    Source: https://docs.pytest.org/en/stable/reference/customize.html, "Configuration file formats".
    """
    for name, section in _CONFIGURATIONS:
        with suppress(OSError, ValueError, EOFError, configparser.Error), opened(directory / name, MB) as file:
            text = file.read().decode()
            if section is None:
                options = tomllib.loads(text).get("tool", {}).get("pytest", {}).get("ini_options")
            else:
                parser = configparser.ConfigParser(interpolation=None)
                parser.read_string(text)
                options = dict(parser).get(section)
            if isinstance(options, Mapping):
                lines = options.get("markers", ())
                lines = lines.splitlines() if isinstance(lines, str) else lines
                return marker_names(map(str, lines))
    return ()


def marker_names(lines: Iterable[str]) -> tuple[str, ...]:
    """The names in lines of the option `markers`, such as `slow: takes long` and `wait(seconds): …`."""
    names = (line.split(":")[0].split("(")[0].strip() for line in lines)
    return tuple(filter(None, names))


def collect(program: str, directory: Path, environment: Mapping[str, str], seconds: float) -> Suite:
    """Let pytest collect the tests of a directory, with the ids of this process.

    What pytest and coverage keep for their next run, they keep elsewhere: `--last-failed` still knows what failed.

    Raises:
        OSError: svc-trace's own files cannot be written.
    """
    with RunDirectory() as run:
        path = run.path / "listing"
        own = {_VARIABLE: str(path), "PYTHONDONTWRITEBYTECODE": "1", "COVERAGE_FILE": str(run.path / "coverage")}
        variables = {**environment, **run.hook_environment(environment), **own}
        del variables["SVC_TRACE_FIFO"]
        try:
            status, output = _output(
                [program, *_OPTIONS, "-o", f"cache_dir={run.path / 'cache'}"], directory, variables, seconds
            )
        except OSError as error:
            return Suite(Listing(), f"{program}: {error.strerror}")
        with suppress(OSError, ValueError, SvcTraceError), opened(path, _LARGEST) as file:
            return Suite(load(file.read(), Listing))
    if status is None:
        return Suite(Listing(), f"pytest --collect-only took more than {seconds:g} s")
    return Suite(Listing(), f"pytest --collect-only ended with status {status}: {_reason(output)}")


def _output(
    command: Sequence[str], directory: Path, environment: Mapping[str, str], seconds: float
) -> tuple[int | None, bytes]:
    """The exit status of a command, and the end of its output; None: it was killed when the time was over.

    A process that it leaves, and that has its output, is not waited for.
    """
    deadline, output = monotonic() + seconds, b""
    with subprocess.Popen(
        command,
        cwd=directory,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    ) as process:
        assert process.stdout
        end = os.pidfd_open(process.pid)
        try:
            waiting = {process.stdout.fileno(), end}
            while ready := select.select(waiting, [], [], max(0, deadline - monotonic()))[0]:
                if ready == [end]:
                    return process.wait(), output
                chunk = os.read(process.stdout.fileno(), _KEPT)
                output = (output + chunk)[-_KEPT:]
                if not chunk:
                    waiting = {end}
            return None, output
        finally:
            os.close(end)
            if process.poll() is None:  # else its group may be another one's by now
                os.killpg(process.pid, signal.SIGKILL)


def _reason(output: bytes) -> str:
    """The line of pytest's output that says most about the problem."""
    lines = [line.strip() for line in output.decode(errors="replace").splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith(("E  ", "ERROR", "ImportError"))]
    return printable((errors or lines or ["without output"])[-1].removeprefix("E  ").strip(), 200)
