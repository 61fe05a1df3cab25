"""`--fail-on`: the exit status that findings give to a command."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from pathlib import Path
from typing import Final

from tracer.classify.findings import Finding, compare_with_baseline, find
from tracer.classify.model import Classification
from tracer.commands.options import FAIL_ON
from tracer.errors import SvcTraceError
from tracer.reports.baseline import read_baseline
from tracer.reports.wording import counted, printable

_UNITS: Final = {
    "blind-spots": "blind spot",
    "contracts": "broken contract",
    "over-assumed": "over-assumption",
    "unknown": "unknown endpoint",
}


def accepted(baseline: Path | None) -> frozenset[Finding]:
    """What a baseline accepts; nothing without one."""
    return read_baseline(baseline) if baseline is not None else frozenset()


def check(classification: Classification, fail_on: Collection[str], baseline: Collection[Finding]) -> None:
    """Do nothing if there are no findings of these kinds but those that the baseline accepts.

    Raises:
        SvcTraceError: there are others; its status is that of the first kind in FAIL_ON of which there are.
    """
    new = compare_with_baseline(find(classification), baseline, fail_on).new
    if not new:
        return
    counts: Counter[str] = Counter(finding.kind for finding in new)
    first = next(kind for kind in FAIL_ON if kind in counts)
    if first == "loss":
        told = "the run is not complete"
    else:
        told = ", ".join(counted(counts[kind], unit) for kind, unit in _UNITS.items() if kind in counts)
        example = next(finding for finding in new if finding.kind == first)
        told += f", such as {example.subject} {example.nodeid}".rstrip()
    raise SvcTraceError(
        printable(f"--fail-on {','.join(kind for kind in FAIL_ON if kind in fail_on)}: {told}"),
        hint="Read `svc-trace validate` on the report: mend the rules or tests, or accept them by --write-baseline.",
        slug="findings",
        exit_code=FAIL_ON[first],
    )
