"""Rules as TOML, to be pasted into the configuration."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from itertools import groupby
from typing import Final

from tracer.classify.assumptions import Entry, EntryKind, entries
from tracer.classify.proposals import Proposal
from tracer.classify.services.rules import AssumptionRule
from tracer.reports.text import counted
from tracer.reports.toml_text import key as key_of
from tracer.reports.toml_text import quoted

_KEYS: Final[dict[EntryKind, str]] = {"fixture": "fixtures", "marker": "markers", "class": "classes", "path": "paths"}
_WEB_PORTS: Final = {80, 443}
_NO_NAME: Final = re.compile(r"[^A-Za-z0-9._-]")  # characters that the name of a service cannot have


def rule_lines(
    service: str,
    rule: AssumptionRule,
    proposals: Sequence[Proposal],
    *,
    pyproject: bool,
    dropped: Collection[Entry] = (),
    blind_spots: Collection[str] | None = None,
) -> Iterator[str]:
    """The whole table of a service's rule with the proposed entries and without the dropped ones, line by line.

    `blind_spots`: those of the rule as it is, None: all that the proposals catch. Other tests lose a dropped entry.

    The whole table, because TOML allows it only once in a document. A comment after each new entry says its effect.
    """
    prefix = "tool.svc-trace." if pyproject else ""
    yield f"[{prefix}assumptions.{key_of(service)}]"
    for kind, key in _KEYS.items():
        values = [quoted(entry.value) for entry in entries(rule) if entry.kind == kind and entry not in dropped]
        new = [proposal for proposal in proposals if proposal.entry.kind == kind]
        if new:
            yield f"{key} = ["
            yield from (f"  {value}," for value in values)
            for proposal in new:
                only_blind = blind_spots is None or all(nodeid in blind_spots for nodeid in proposal.caught)
                caught, wrong = len(proposal.caught), false_positives(len(proposal.over_assumed))
                blind, tests = counted(caught, "blind spot"), counted(caught, "test")
                effect = f"catches {blind}" if only_blind else f"correct for {tests}"
                yield f"  {quoted(proposal.entry.value)},  # {effect}, {wrong}"
            yield "]"
        elif values:
            yield f"{key} = [{', '.join(values)}]"
    if rule.in_class and Entry("in_class") not in dropped:
        yield "in_class = true"


def service_lines(places: Iterable[tuple[str, int]], *, pyproject: bool) -> Iterator[str]:
    """Tables of services at some hosts and ports, line by line. Several ports of a host are several services.

    The exceptions are 80 and 443: a host has the same service there.
    """
    prefix = "tool.svc-trace." if pyproject else ""
    for host, of_host in groupby(sorted(set(places)), key=lambda place: place[0]):
        ports = [port for _, port in of_host]
        is_one = len(ports) == 1 or set(ports) == _WEB_PORTS
        for port in ports[:1] if is_one else ports:
            name = _NO_NAME.sub("-", host if is_one else f"{host}-{port}").lstrip("._-")
            yield f"[{prefix}services.{key_of(name)}]"
            yield f"hosts = [{quoted(host)}]"
            if not is_one:
                yield f"ports = [{port}]"


def false_positives(number: int) -> str:
    """How many tests an entry or a rule claims wrongly: `1 false positive`, `no false positives`."""
    return counted(number, "false positive") if number else "no false positives"
