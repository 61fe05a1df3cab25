"""A tier on trial: whether all its tests pass with only its services, and what the others tried."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tracer.classify.tier_trial import TierTrial
from tracer.reports import verify_json
from tracer.reports.blocks import Block, Heading, Headline, Notice, ReportPath, Styled, groups
from tracer.reports.evidence_text import destination
from tracer.reports.text import counted, joined
from tracer.reports.verdict_text import named, reason_text

_LISTED: Final = 10
"""How many tests of a group the page lists; the JSON has all."""


@dataclass(frozen=True, slots=True)
class TierDocument:
    """What the trial of a tier shows."""

    trial: TierTrial
    output: Path | None = None  # where the verdicts were written

    def page(self) -> Iterator[Block]:
        """How many tests pass, what the others tried, and which attempts did no harm."""
        trial = self.trial
        yield _headline(trial)
        if not trial.verification.complete:
            yield Notice(
                "a run is not complete: attempts to use other services may be missing",
                "Read the warnings of the runs, and run again.",
            )
        if trial.broken:
            yield Heading(Styled(f"Need other services: {counted(len(trial.broken), 'test')}", "bad"))
            yield from groups(_tried(trial, trial.broken), _LISTED)
        if trial.unproven:
            yield Heading(Styled(f"Not proven: {counted(len(trial.unproven), 'test')}", "warning"))
            yield from groups(((reason_text(one.reason), nodeid) for nodeid, one in trial.unproven.items()), _LISTED)
        if harmless := [nodeid for nodeid in trial.attempts if nodeid not in trial.broken]:
            yield Heading(f"Tried other services, and do not need them: {counted(len(harmless), 'test')}")
            yield from groups(_tried(trial, harmless), _LISTED)
        if self.output is not None:
            yield ReportPath(str(self.output))

    def json(self) -> Iterator[bytes]:
        """The verdicts. docs/verify.md explains the fields."""
        return verify_json.render(self.trial.verification)


def only(services: Collection[str]) -> str:
    """What a tier's tests may use: `only postgres`, `no service`."""
    return f"only {joined(services)}" if services else "no service"


def _headline(trial: TierTrial) -> Headline:
    verification = trial.verification
    total = len(verification.tests)
    passing = total - len(trial.broken) - len(trial.unproven) - trial.failing
    text = f"{passing:,} of {counted(total, 'test')} of tier {trial.tier} pass with {only(trial.services)}"
    runs = f"{counted(verification.runs_with, 'run')} with, {counted(verification.runs_without, 'run')} without"
    details = [f"{runs} all other services"]
    if trial.failing:
        ends = "does not pass" if trial.failing == 1 else "do not pass"
        details.append(f"{counted(trial.failing, 'test')} {ends} with all services either")
    return Headline(Styled(text, "good" if trial.is_proven else "bad"), tuple(details))


def _tried(trial: TierTrial, nodeids: Collection[str]) -> Iterator[tuple[str, str]]:
    """Each of some tests, with each place that it tried."""
    for nodeid in nodeids:
        places = dict.fromkeys(f"{one.service}: {destination(one)}" for one in trial.attempts.get(nodeid, ()))
        services = trial.verification.tests[nodeid].tried if nodeid in trial.verification.tests else ()
        for title in places or tuple(map(named, services)) or ("no attempt was seen",):
            yield title, nodeid
