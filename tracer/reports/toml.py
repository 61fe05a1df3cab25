"""A static rule as TOML, to be pasted into the configuration."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from typing import Final

from tracer.classify.assumptions import EntryKind
from tracer.classify.proposals import Proposal
from tracer.classify.services.config import AssumptionRule
from tracer.reports.wording import counted

_KEYS: Final[dict[EntryKind, str]] = {"fixture": "fixtures", "marker": "markers", "class": "classes", "path": "paths"}
_BARE_KEY: Final = re.compile(r"[A-Za-z0-9_-]+")  # TOML 1.0, "Keys"


def assumption(service: str, rule: AssumptionRule, proposals: Iterable[Proposal], *, pyproject: bool) -> Iterator[str]:
    """The whole table of a service's rule with the entries that are proposed, line by line.

    The whole, because a table may stand in a document once only. What an entry does is said behind it.
    """
    proposed: dict[str, list[Proposal]] = {}
    for proposal in proposals:
        proposed.setdefault(_KEYS[proposal.entry.kind], []).append(proposal)
    prefix = "tool.svc-trace." if pyproject else ""
    yield f"[{prefix}assumptions.{service if _BARE_KEY.fullmatch(service) else quoted(service)}]"
    present = {
        "fixtures": sorted(rule.fixtures),
        "markers": sorted(rule.markers),
        "classes": rule.classes,
        "paths": rule.paths,
    }
    for key, values in present.items():
        new = proposed.get(key, [])
        if new:
            yield f"{key} = ["
            yield from (f"  {quoted(value)}," for value in values)
            yield from (f"  {quoted(one.entry.value)},  # {effect(one)}" for one in new)
            yield "]"
        elif values:
            yield f"{key} = [{', '.join(map(quoted, values))}]"
    if rule.in_class:
        yield "in_class = true"


def effect(proposal: Proposal) -> str:
    """What a proposed entry does: `catches 3 blind spots, claims 1 test in vain`."""
    vain = counted(len(proposal.over_assumed), "test") if proposal.over_assumed else "none"
    return f"catches {counted(len(proposal.caught), 'blind spot')}, claims {vain} in vain"


def quoted(text: str) -> str:
    """A TOML basic string: JSON's escapes are TOML's too (TOML 1.0, "String"), but for DEL, which JSON leaves alone."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
