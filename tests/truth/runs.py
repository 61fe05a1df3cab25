"""Runs the suite of a scenario under svc-trace and bare (without it)."""

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
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from environments import MINORS, environment_with, interpreter

from tracer.classify.model import Classification, Verification
from tracer.reports.json_report import read_classification
from tracer.reports.verify_json import read_verification
from truth.received import Received
from truth.scenario import Scenario

SUITE: Final = Path(__file__).parent / "suite"
"""The directory of the modules that all suites can import."""
PYTEST: Final = ("-m", "pytest", "-p", "no:cacheprovider", "-p", "outcomes")
TRACER: Final = (sys.executable, "-m", "tracer", "-q", "--backend")
VERIFY: Final = (sys.executable, "-m", "tracer", "verify", "--backend")
LIMIT_S: Final = 300.0
"""After this time a run counts as hanging. Most end within a second, on an emulated processor within a minute."""
TRIAL_LIMIT_S: Final = 6 * LIMIT_S
"""The same for a trial: it has up to six runs."""

Phases = Counter[tuple[str, str, str, bool]]
"""(Node id, phase, outcome, whether by xfail) → how often pytest reported it."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """The environment of a suite."""

    environment: Mapping[str, str]  # the addresses of its peers
    configuration: str  # a part of svc-trace.toml: their names
    received: Callable[[], Received]  # what has arrived at the plain peers so far


@dataclass(frozen=True, slots=True)
class Finished:
    """A run that has ended."""

    exit_status: int  # as in a shell: 128 + n if signal n killed it
    phases: Phases
    output: str  # stdout and stderr


class Hung(Exception):
    """A run did not end in time. The message has its output."""


def run_traced(
    scenario: Scenario, backend: str, surroundings: Surroundings, directory: Path
) -> tuple[Finished, Classification | None]:
    """Run a copy of the suite in a new directory under svc-trace. Returns its report too, if it wrote one.

    The directory keeps the report, the trace and the output.

    Raises:
        Hung: the run took longer than LIMIT_S.
    """
    report = directory / "report.json"
    options = ("-o", str(report), "--trace", str(directory / "trace.svctrace"))
    finished = _run(scenario, (*TRACER, backend, *options, "--", *_command(scenario)), surroundings, directory)
    return finished, read_classification(report) if report.exists() else None


def run_trial(
    scenario: Scenario, backend: str, surroundings: Surroundings, directory: Path
) -> tuple[Finished, Verification | None]:
    """Run a copy of the suite in a new directory with all services, and without some. Returns the verdicts, if any.

    The directory keeps the verdicts, the reports of the runs and the output.

    Raises:
        Hung: the trial took longer than TRIAL_LIMIT_S.
    """
    verdicts = directory / "verdicts.json"
    options = ("--without", ",".join(scenario.without), *scenario.trial_options)
    files = ("-o", str(verdicts), "--keep", str(directory / "reports"))
    command = (*VERIFY, backend, *options, *files, "--", *_command(scenario))
    finished = _run(scenario, command, surroundings, directory, TRIAL_LIMIT_S)
    return finished, read_verification(verdicts) if verdicts.exists() else None


def run_bare(scenario: Scenario, surroundings: Surroundings, directory: Path, shared: Path) -> Finished:
    """Run a copy of the suite in a new directory without svc-trace.

    It runs only once: the directory `shared` keeps the result for all backends and all xdist workers.

    Raises:
        Hung: the run took longer than LIMIT_S.
    """
    cached = shared / "-".join((*scenario.directory.parts[-2:], *scenario.requires))
    with cached.open("ab+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        if file.seek(0, os.SEEK_END):
            file.seek(0)
            known: Finished = pickle.load(file)
            return known
        finished = _run(scenario, _command(scenario), surroundings, directory)
        pickle.dump(finished, file)
    return finished


def disturbances(traced: Finished, bare: Finished) -> Iterator[str]:
    """Yield a line for each difference between the suite's traced run and its bare run."""
    if traced.exit_status != bare.exit_status:
        yield f"the run: exit status {traced.exit_status}, and {bare.exit_status} without svc-trace"
    for only, runs in ((traced.phases - bare.phases, "under"), (bare.phases - traced.phases, "without")):
        for nodeid, when, outcome, xfail in only:
            yield f"{nodeid}: {when} {outcome}{' by xfail' if xfail else ''} only {runs} svc-trace"


def python_of(scenario: Scenario) -> str:
    """The interpreter for the suite. Makes its environment if necessary; this needs a network."""
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


def _run(
    scenario: Scenario,
    command: Iterable[str],
    surroundings: Surroundings,
    directory: Path,
    limit_s: float = LIMIT_S,
) -> Finished:
    suite, outcomes = directory / "suite", directory / "outcomes"
    shutil.copytree(scenario.suite, suite, ignore=shutil.ignore_patterns("scenario.toml", "__pycache__"))
    with (suite / "svc-trace.toml").open("a") as configuration:  # after the scenario's own part
        configuration.write(surroundings.configuration)
    environment = _environment(surroundings, outcomes)
    status, output = _run_to_end([*command], suite, environment, directory / "output", limit_s)
    phases: Phases = Counter()
    if outcomes.exists():  # missing if no test ran
        phases.update(tuple(json.loads(line)) for line in outcomes.read_text().splitlines())
    return Finished(status if status >= 0 else 128 - status, phases, output)


def _environment(surroundings: Surroundings, outcomes: Path) -> dict[str, str]:
    """Without variables for the pytest that runs this. Plugins are off: to load them takes longer than most suites."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    own = {"PYTHONPATH": str(SUITE), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "TRUTH_OUTCOMES": str(outcomes)}
    return {**inherited, **surroundings.environment, **own}


def _run_to_end(
    command: list[str], directory: Path, environment: dict[str, str], output: Path, limit_s: float
) -> tuple[int, str]:
    """Returns the exit status (-n for signal n) and the output."""
    with output.open("wb") as file:
        process = subprocess.Popen(
            command,
            cwd=directory,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # so that all its processes can be killed together
        )
        try:
            status = process.wait(limit_s)
        except BaseException as error:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            if not isinstance(error, subprocess.TimeoutExpired):
                raise
            printed = output.read_text(errors="replace")
            raise Hung(f"{shlex.join(command)} did not end within {limit_s:.0f} s. It printed:\n{printed}") from None
    return status, output.read_text(errors="replace")
