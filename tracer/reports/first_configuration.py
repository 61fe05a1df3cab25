"""A first configuration as TOML, with the reason for each part in a comment."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from tracer.classify.first_rules import FirstRules, Reasoned
from tracer.reports.config_document import contract_as_written, service_as_written
from tracer.reports.text import printable
from tracer.reports.toml_text import assignment, key, quoted

_KNOWN = "A table replaces the preset's, so the preset's lines are repeated."


def first_configuration(rules: FirstRules, known: Iterable[str], *, pyproject: bool) -> Iterator[str]:
    """The lines. In pyproject.toml, all tables are below `tool.svc-trace`. `known`: the preset's services."""
    prefix = "tool.svc-trace." if pyproject else ""
    yield "# By `svc-trace init`, from what was found; each part has its reason. It may be"
    yield "# wrong: after a traced run, `svc-trace validate svc-trace.json` checks it."
    if pyproject:
        yield "[tool.svc-trace]"
    for preset in rules.extends:
        yield f"extends = [{quoted(preset.value)}]{_comment(preset.reason)}"
    if not (rules.extends or rules.services or rules.assumptions or rules.contracts):
        yield "# Nothing that was found needs a line here: the usual services are known by"
        yield "# their ports and protocols."
    for name, (rule, reasons) in rules.services.items():
        yield ""
        yield from (f"# {printable(reason)}" for reason in [*reasons, *([_KNOWN] if name in known else ())])
        yield f"[{prefix}services.{key(name)}]"
        for field, value in service_as_written(rule).items():
            yield from assignment(field, value)
    for service, keys in rules.assumptions.items():
        yield ""
        yield f"[{prefix}assumptions.{key(service)}]"
        for field, entries in keys.items():
            yield from _entries(field, entries)
    for contract, reason in rules.contracts:
        yield ""
        yield f"[[{prefix}contracts]]{_comment(reason)}"
        for field, value in contract_as_written(contract).items():
            yield from assignment(field, value)
    for name, reason in rules.open:
        yield ""
        yield f"# {printable(reason)}: which ports or hosts does this service have?"
        yield f"# [{prefix}services.{key(name)}]"
        yield "# ports = []"


def _entries(field: str, entries: Sequence[Reasoned]) -> Iterator[str]:
    if len(entries) == 1:
        yield f"{key(field)} = [{quoted(entries[0].value)}]{_comment(entries[0].reason)}"
        return
    yield f"{key(field)} = ["
    yield from (f"  {quoted(entry.value)},{_comment(entry.reason)}" for entry in entries)
    yield "]"


def _comment(reason: str) -> str:
    return f" # {printable(reason)}"
