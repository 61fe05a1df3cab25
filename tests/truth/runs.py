"""A scenario's suite, run under svc-trace and bare."""

from __future__ import annotations

import fcntl
import json
import os
import pickle
import shlex
import shutil
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from environments import MINORS, environment_with, interpreter

from tracer.classify.model import Classification
from tracer.reports.json_report import read_classification
from truth.scenario import Scenario

SUITE: Final = Path(__file__).parent / "suite"
"""The modules that every suite can import."""
PYTEST: Final = ("-m", "pytest", "-p", "no:cacheprovider", "-p", "outcomes")
TRACER: Final = (sys.executable, "-m", "tracer", "-q", "--backend")
LIMIT_S: Final = 300.0
"""Until a run counts as hanging. Most end within a second, on an emulated processor within a minute."""

Phases = Counter[tuple[str, str, str, bool]]
"""Node id, phase, outcome, whether by xfail → how often it was reported."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a suite finds around it."""

    environment: Mapping[str, str]  # the addresses of its peers
    configuration: str  # svc-trace.toml: their names


@dataclass(frozen=True, slots=True)
class Finished:
    """A run that has ended."""

    exit_status: int  # as a shell has it: 128 + the signal that killed it
    phases: Phases
    output: str  # stdout and stderr


class Hung(Exception):
    """A run did not end in time; says what it printed."""


def run_traced(
    scenario: Scenario, backend: str, surroundings: Surroundings, folder: Path
) -> tuple[Finished, Classification | None]:
    """Run a copy of the suite in a new folder under svc-trace; returns its report too, if there is any.

    The folder has what explains a failure: the report, the trace, and all that was printed.

    Raises:
        Hung: it does not end.
    """
    report = folder / "report.json"
    options = ("-o", str(report), "--trace", str(folder / "trace.svctrace"))
    finished = _run(scenario, (*TRACER, backend, *options, "--", *_command(scenario)), surroundings, folder)
    return finished, read_classification(report) if report.exists() else None


def run_bare(scenario: Scenario, surroundings: Surroundings, folder: Path, shared: Path) -> Finished:
    """Run a copy of the suite in a new folder as if there were no svc-trace.

    Once for all that share the folder `shared`, where it is kept what it did: all backends, all of xdist's workers.

    Raises:
        Hung: it does not end.
    """
    kept = shared / "-".join((*scenario.folder.parts[-2:], *scenario.requires))
    with kept.open("ab+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        if file.seek(0, os.SEEK_END):
            file.seek(0)
            known: Finished = pickle.load(file)
            return known
        finished = _run(scenario, _command(scenario), surroundings, folder)
        pickle.dump(finished, file)
    return finished


def disturbances(traced: Finished, bare: Finished) -> Iterator[str]:
    """In what the suite ran otherwise under svc-trace, a line each."""
    if traced.exit_status != bare.exit_status:
        yield f"the run: exit status {traced.exit_status}, and {bare.exit_status} without svc-trace"
    for only, runs in ((traced.phases - bare.phases, "under"), (bare.phases - traced.phases, "without")):
        for nodeid, when, outcome, xfail in only:
            yield f"{nodeid}: {when} {outcome}{' by xfail' if xfail else ''} only {runs} svc-trace"


def python_of(scenario: Scenario) -> str:
    """The interpreter that runs the suite; its environment is made if there is none yet, which takes a network."""
    if not scenario.requires:
        return sys.executable
    minors = () if scenario.python is None else range(scenario.python, MINORS.stop)
    return str(environment_with(interpreter(minors), scenario.requires))


def _command(scenario: Scenario) -> Iterator[str]:
    pytest = (python_of(scenario), *PYTEST, *scenario.arguments)
    for part in scenario.command:
        if part == "{pytest}":
            yield from pytest
        else:
            yield part.replace("{pytest}", shlex.join(pytest))


def _run(scenario: Scenario, command: Iterable[str], around: Surroundings, folder: Path) -> Finished:
    suite, outcomes = folder / "suite", folder / "outcomes"
    shutil.copytree(scenario.suite, suite, ignore=shutil.ignore_patterns("scenario.toml", "__pycache__"))
    with (suite / "svc-trace.toml").open("a") as configuration:  # behind what the scenario says itself
        configuration.write(around.configuration)
    status, output = _run_to_end([*command], suite, _environment(around, outcomes), folder / "output")
    phases: Phases = Counter()
    if outcomes.exists():  # no test may have got that far
        phases.update(tuple(json.loads(line)) for line in outcomes.read_text().splitlines())
    return Finished(status if status >= 0 else 128 - status, phases, output)


def _environment(around: Surroundings, outcomes: Path) -> dict[str, str]:
    """What is meant for the pytest that runs us is not the suite's. Plugins cost more to load than most suites run."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    own = {"PYTHONPATH": str(SUITE), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "TRUTH_OUTCOMES": str(outcomes)}
    return {**inherited, **around.environment, **own}


def _run_to_end(command: list[str], folder: Path, environment: dict[str, str], output: Path) -> tuple[int, str]:
    """Returns the exit status, -n for signal n, and what was printed."""
    with output.open("wb") as file:
        process = subprocess.Popen(
            command,
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # so that it can be ended with all that it started
        )
        try:
            status = process.wait(LIMIT_S)
        except BaseException as error:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            if not isinstance(error, subprocess.TimeoutExpired):
                raise
            said = output.read_text(errors="replace")
            raise Hung(f"{shlex.join(command)} did not end within {LIMIT_S:.0f} s. It said:\n{said}") from None
    return status, output.read_text(errors="replace")
