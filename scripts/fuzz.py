"""Fuzzing: changed inputs for each reader. A reader may refuse an input with a SvcTraceError; all else is a finding.

An input begins as a valid one of its kind. A mutation changes its structure (JSON values, lines, fields) or its bytes.
An input that leads to an outcome which no input had before is changed further, as in coverage-guided fuzzing: outcomes
are errors without their numbers and names. Everything happens in one process per target, so that an input costs
microseconds. A finding is another exception, more than 5 s for 50 inputs, or more than 2 GB of memory.
"""

from __future__ import annotations

import argparse
import random
import re
import resource
import signal
import sys
import tempfile
import time
import traceback
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from fuzz_mutations import Mutate
from fuzz_targets import TARGETS, Target

from tracer.errors import SvcTraceError

BATCH: Final = 50  # inputs
SLOW_S: Final = 5.0  # of a batch: CPU time, which other processes do not change
MEMORY: Final = 2 << 30
CORPUS: Final = 2000  # inputs
LARGE: Final = 20_000  # bytes of an input that is not changed further
FINDINGS: Final = 20  # of one target; then it ends
_VARIABLE: Final = re.compile(r"'[^']*'|\"[^\"]*\"|`[^`]*`|[0-9]+|/\S+")


class SlowError(Exception):
    """An input took too long. Then the target ends."""


@dataclass
class Result:
    """What happened to one target."""

    name: str
    inputs: int = 0
    outcomes: int = 0
    findings: dict[str, bytes] = field(default_factory=dict)  # traceback → the first input


def fuzz(name: str, seconds: float, seed: int) -> Result:
    """Give inputs to a target for some time."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    signal.signal(signal.SIGVTALRM, _interrupt)
    result, chance = Result(name), random.Random(f"{name} {seed}")
    with tempfile.TemporaryDirectory(prefix="svc-trace-fuzz-") as directory:
        target = TARGETS[name](Path(directory))
        mutate = Mutate(chance, target.kind, target.seeds)
        corpus, outcomes = list(target.seeds), set[object]()
        for known in target.seeds:
            assert _outcome(target, known, result) is None, f"{name}: a seed is refused"
        ending = time.monotonic() + seconds
        while time.monotonic() < ending and len(result.findings) < FINDINGS:
            signal.setitimer(signal.ITIMER_VIRTUAL, SLOW_S, SLOW_S)
            for _ in range(BATCH):
                data = mutate(chance.choice(corpus))
                outcome = _outcome(target, data, result)
                if outcome is SlowError:
                    return result
                if outcome not in outcomes:
                    outcomes.add(outcome)
                    if len(corpus) < CORPUS and len(data) <= LARGE:
                        corpus.append(data)
            signal.setitimer(signal.ITIMER_VIRTUAL, 0)
    result.outcomes = len(outcomes)
    return result


def _outcome(target: Target, data: bytes, result: Result) -> object:
    """The outcome of one input: what the target returned, or the kind of its error."""
    result.inputs += 1
    try:
        return target.read(data)
    except SvcTraceError as error:
        return _VARIABLE.sub("", error.message[-100:])
    except Exception as error:
        frames = traceback.extract_tb(error.__traceback__)[-4:]
        found = f"{type(error).__name__}: {_VARIABLE.sub('', str(error))[:200]}\n"
        found += "".join(f"    {frame.filename}:{frame.lineno} {frame.name}\n" for frame in frames)
        result.findings.setdefault(found, data)
        return SlowError if isinstance(error, SlowError) else found


def _interrupt(_: int, __: object) -> None:
    raise SlowError


def main() -> int:
    """Run the targets, print the counts; 1 if there are findings."""
    parser = argparse.ArgumentParser(description="Gives changed inputs to each reader.")
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=f"Default: all: {', '.join(TARGETS)}")
    parser.add_argument("--seconds", type=float, default=600, help="for each target (default: 600)")
    parser.add_argument("--jobs", type=int, default=2, help="targets at once (default: 2)")
    parser.add_argument("--seed", type=int, default=None, help="of the random choices; default: another in each run")
    options = parser.parse_args()
    if wrong := set(options.targets) - set(TARGETS):
        parser.error(f"there is no target {', '.join(sorted(wrong))}")
    seed: int = random.SystemRandom().randrange(1 << 32) if options.seed is None else options.seed
    names: list[str] = options.targets or list(TARGETS)
    kept: Path | None = None
    total = 0
    with ProcessPoolExecutor(options.jobs, max_tasks_per_child=1) as pool:
        waiting = [pool.submit(fuzz, name, options.seconds, seed) for name in names]
        for future in waiting:
            result = future.result()
            total += result.inputs
            print(f"fuzz: {result.name:14}{result.inputs:>12,} inputs, {result.outcomes:>5} outcomes, ", end="")
            print(f"{len(result.findings)} findings", flush=True)
            for number, (found, data) in enumerate(result.findings.items()):
                kept = kept or Path(tempfile.mkdtemp(prefix="svc-trace-findings-"))
                path = kept / f"{result.name}-{number}"
                path.write_bytes(data)
                print(f"  {path}: {found}")
    print(f"fuzz: {total:,} inputs in all, seed {seed}: {'findings' if kept else 'no finding'}")
    return 1 if kept else 0


if __name__ == "__main__":
    sys.exit(main())
