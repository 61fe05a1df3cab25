"""`--fail-on`: the exit status that findings give to a command."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from typing import Final

from tracer.classify.findings import Finding, compare_with_baseline, find
from tracer.classify.model import Classification
from tracer.commands.options import FAIL_ON
from tracer.errors import SvcTraceError
from tracer.reports.text import counted, printable

_UNITS: Final = {
    "blind-spots": "blind spot",
    "contracts": "broken contract",
    "over-assumed": "over-assumption",
    "unknown": "unknown endpoint",
}


def check_findings(
    classification: Classification, fail_on: Collection[str], accepted: Collection[Finding] | None
) -> None:
    """Do nothing if all findings of these kinds are accepted by the baseline; without one, None, none is accepted.

    Raises:
        SvcTraceError: others were found; its status is that of the first of their kinds in FAIL_ON.
    """
    new = compare_with_baseline(find(classification), accepted or (), fail_on).new
    if not new:
        return
    counts: Counter[str] = Counter(finding.kind for finding in new)
    first = next(kind for kind in FAIL_ON if kind in counts)
    if first == "loss":
        problem = "the run is not complete"
    else:
        problem = ", ".join(counted(counts[kind], unit) for kind, unit in _UNITS.items() if kind in counts)
        example = next(finding for finding in new if finding.kind == first)
        problem += f", such as {example.subject} {example.nodeid}".rstrip()
    raise SvcTraceError(
        printable(f"--fail-on {','.join(kind for kind in FAIL_ON if kind in fail_on)}: {problem}"),
        hint="Run `svc-trace validate` on the report. Fix the rules or tests, or accept them with --write-baseline.",
        slug="findings",
        exit_code=FAIL_ON[first],
    )
