"""A rule as TOML, to be pasted into the configuration."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from typing import Final

from tracer.classify.assumptions import EntryKind, entries
from tracer.classify.proposals import Proposal
from tracer.classify.services.config import AssumptionRule
from tracer.reports.text import counted

_KEYS: Final[dict[EntryKind, str]] = {"fixture": "fixtures", "marker": "markers", "class": "classes", "path": "paths"}
_BARE_KEY: Final = re.compile(r"[A-Za-z0-9_-]+")  # TOML 1.0, "Keys"


def rule_lines(service: str, rule: AssumptionRule, proposals: Sequence[Proposal], *, pyproject: bool) -> Iterator[str]:
    """The whole table of a service's rule with the proposed entries, line by line.

    The whole table, because TOML allows it only once in a document. A comment after each new entry says its effect.
    """
    prefix = "tool.svc-trace." if pyproject else ""
    yield f"[{prefix}assumptions.{service if _BARE_KEY.fullmatch(service) else _quoted(service)}]"
    for kind, key in _KEYS.items():
        values = [_quoted(entry.value) for entry in entries(rule) if entry.kind == kind]
        new = [proposal for proposal in proposals if proposal.entry.kind == kind]
        if new:
            yield f"{key} = ["
            yield from (f"  {value}," for value in values)
            for proposal in new:
                caught, wrong = counted(len(proposal.caught), "blind spot"), false_positives(len(proposal.over_assumed))
                yield f"  {_quoted(proposal.entry.value)},  # catches {caught}, {wrong}"
            yield "]"
        elif values:
            yield f"{key} = [{', '.join(values)}]"
    if rule.in_class:
        yield "in_class = true"


def false_positives(number: int) -> str:
    """How many tests an entry or a rule claims wrongly: `1 false positive`, `no false positives`."""
    return counted(number, "false positive") if number else "no false positives"


def _quoted(text: str) -> str:
    """A TOML basic string. JSON has the same escapes (TOML 1.0, "String"), except for DEL, which it does not escape."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
