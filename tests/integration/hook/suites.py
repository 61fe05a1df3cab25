"""Small suites that are run with the hook, and what it reports of them."""

from __future__ import annotations

import os
import resource
import subprocess
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from textwrap import dedent

from tracer.record.boundary.fifo import Fifo
from tracer.record.boundary.messages import (
    Close,
    Facts,
    FixtureInstance,
    Interrupted,
    Message,
    Open,
    Phase,
    Report,
    Requires,
    Uses,
)
from tracer.record.boundary.packets import Decoder, Packet
from tracer.record.run_directory import RunDirectory
from tracer.trace.ids import HookNumber
from tracer.trace.records import StaticFacts

Limits = tuple[int, int] | None  # of open files: soft, hard


@dataclass(frozen=True, slots=True)
class Environment:
    """A virtual environment without the tracer, and the directory of a run."""

    python: Path
    run_directory: RunDirectory

    def start(self, suite: Path, *options: str, fifo: Path | None, limits: Limits = None) -> subprocess.Popen[str]:
        """`pytest -W error` in a directory, with limits of its own; with the hook only if there is a FIFO."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST", "PYTHON", "SVC_"))}
        hooked = self.run_directory.hook_environment(kept) | {"SVC_TRACE_FIFO": str(fifo)}
        return subprocess.Popen(
            [self.python, "-m", "pytest", "-W", "error", "-p", "no:cacheprovider", *options],
            cwd=suite,
            env=kept | (hooked if fifo else {}),
            preexec_fn=limits and partial(resource.setrlimit, resource.RLIMIT_NOFILE, limits),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run(self, suite: Path, *options: str, fifo: Path | None, limits: Limits = None) -> tuple[int, str]:
        """The suite's exit status and output."""
        with self.start(suite, *options, fifo=fifo, limits=limits) as child:
            output, _ = child.communicate(timeout=120)
        return child.returncode, output


@dataclass(frozen=True, slots=True)
class Reported:
    """What a run printed, and what its hook wrote."""

    status: int
    output: str
    packets: tuple[Packet, ...]
    lost: int
    malformed: int
    off: bool  # the hook turned itself off

    def messages(self, pid: int | None = None) -> list[Message]:
        return [message for packet in self.packets if pid in (None, packet.pid) for message in packet.messages]

    def tests(self) -> list[Open]:
        return [message for message in self.messages() if isinstance(message, Open) and message.kind == "test"]

    def outcomes(self) -> list[Report]:
        return [message for message in self.messages() if isinstance(message, Report)]

    def facts(self) -> dict[str, StaticFacts]:
        """Node id → its facts."""
        facts = {message.number: message.facts for message in self.messages() if isinstance(message, Facts)}
        return {str(test.subject): facts[test.facts or HookNumber(0)] for test in self.tests()}

    def steps(self) -> list[str]:
        """The messages in words, without those of the session and its collections: `-x` closes `x`.

        A test has phases after its setup, and the outcomes of phases that did not pass.
        """
        names: dict[int, str] = {}
        lines: list[str] = []
        for message in self.messages():
            match message:
                case Open(span, _, kind, subject):
                    if kind == "test":
                        names[span] = str(subject).partition("::")[2]
                    else:
                        names[span] = names.get(subject, "") if isinstance(subject, int) else kind
                    lines.append(names[span])
                case Phase(_, phase):
                    lines.append(phase)
                case Interrupted(test):
                    lines.append(f"-{names[test]} interrupted")
                case Close(span):
                    lines.append(f"-{names.get(span, '?')}")  # its `open` may be lost
                case FixtureInstance(number, name):
                    names[number] = name
                case Report(_, phase, outcome):
                    lines.append(f"{phase} {outcome}")
                case Uses(test, instances):
                    lines.append(f"{names[test]} uses {' '.join(names[number] for number in instances)}")
                case Requires(instance, instances):
                    lines.append(f"{names[instance]} requires {' '.join(names[number] for number in instances)}")
        return [line for line in lines if line.lstrip("-") not in ("session", "conftest", "collection")]


def run(
    environment: Environment, directory: Path, source: str, *options: str, conftest: str = "", limits: Limits = None
) -> Reported:
    """Run one module of tests with the hook. All that it writes fits into the FIFO, so it is read at the end."""
    suite = directory / "suite"
    suite.mkdir(exist_ok=True)
    (suite / "conftest.py").write_text(dedent(conftest))
    (suite / "test_it.py").write_text("import os, pytest\n" + dedent(source), encoding="utf-8")
    decoder = Decoder()
    with Fifo(directory / "fifo") as fifo:
        status, output = environment.run(suite, *options, fifo=fifo.path, limits=limits)
        packets = decoder.feed(fifo.read())
        off = fifo.silenced
    return Reported(status, output, tuple(packets), decoder.lost, decoder.malformed, off)


def plain(name: str) -> list[str]:
    """The steps of a test without fixtures that passes."""
    return [name, "call", "teardown", f"-{name}"]
