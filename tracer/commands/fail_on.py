"""`--fail-on`: the exit status that findings give to a command."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from typing import Final

from tracer.classify.findings import Finding, compare_with_baseline, find
from tracer.classify.model import Classification
from tracer.classify.services.config import Searched
from tracer.classify.services.rules import Rules
from tracer.commands.options import FAIL_ON
from tracer.errors import ExitStatus, SvcTraceError
from tracer.reports.text import counted, printable

_RULES: Final = {"blind-spots": "assumptions", "over-assumed": "assumptions", "contracts": "contracts"}
"""Kind of finding → the rules from which it follows."""
_TABLES: Final = {"assumptions": "[assumptions.SERVICE]", "contracts": "[[contracts]]"}
_UNITS: Final = {
    "blind-spots": "blind spot",
    "contracts": "broken contract",
    "over-assumed": "over-assumption",
    "unknown": "unknown endpoint",
    "refused": "use of a refused service",
}


def check_rules(rules: Rules, fail_on: Collection[str], searched: Searched | None) -> None:
    """Do nothing if there are rules to check for each kind: without, a gate would always be open.

    Raises:
        SvcTraceError: there are none of a kind; says where the configuration was searched.
    """
    kinds = {"assumptions": rules.assumptions, "contracts": rules.contracts}
    for kind in FAIL_ON:
        needed = _RULES.get(kind)
        if kind in fail_on and needed is not None and not kinds[needed]:
            raise SvcTraceError(
                printable(f"--fail-on {kind} has nothing to check: {_where(needed, searched)}"),
                hint=f"Add {_TABLES[needed]} to the configuration, name another one by --config, or leave {kind} out.",
                slug="no-rules",
                exit_code=ExitStatus.BAD_CONFIG,
            )


def _where(needed: str, searched: Searched | None) -> str:
    """Where there are no such rules, in words."""
    if searched is None:
        return f"the report's rules have no {needed}, and no configuration was given"
    if searched.source is not None:
        return f"{searched.source} has no {needed}"
    places = ", ".join(map(str, searched.directories))
    return f"no svc-trace.toml, and no pyproject.toml with [tool.svc-trace], in {places}"


def check_findings(
    classification: Classification,
    fail_on: Collection[str],
    accepted: Collection[Finding] | None,
    searched: Searched | None = None,
) -> None:
    """Do nothing if all findings of these kinds are accepted by the baseline; without one, None, none is accepted.

    Args:
        classification: the report.
        fail_on: keys of FAIL_ON.
        accepted: the baseline.
        searched: where the rules came from; None: from the report.

    Raises:
        SvcTraceError: there are no rules to check; or others were found, and the status is that of the first of their
            kinds in FAIL_ON.
    """
    check_rules(classification.rules, fail_on, searched)
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
