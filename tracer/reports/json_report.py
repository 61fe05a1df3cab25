"""The JSON report: the classification, field by field. Every other format and command stands on it."""

from __future__ import annotations

import gc
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import fields
from functools import lru_cache
from pathlib import Path
from typing import Any, Final, get_args

from tracer.classify.model import (
    SCHEMA,
    AssumptionCheck,
    Classification,
    ContractCheck,
    Directory,
    Evidence,
    RunInfo,
    RunResult,
    Summary,
    TestResult,
    Variants,
    Why,
)
from tracer.classify.services.config import AssumptionRule, Contract, Rules, Tier, VariantRule
from tracer.errors import ExitStatus, SvcTraceError
from tracer.trace.json_codec import Defaults, converter, dump, load
from tracer.trace.records import RunWarning, StaticFacts
from tracer.trace.storage import open_input

_SELDOM: Final = ("self_hosted", "ambiguous", "listener")
"""What an evidence tells only where it is true, or known."""
_DEFAULTS: Final[Defaults] = {
    Evidence: {"protocol": None, "self_hosted": False, "ambiguous": False},
    TestResult: {"attempts": 1, "facts": None},
    AssumptionCheck: {"neither": 0, "ambient_only": (), "undecided": 0},
    Classification: {"rules": Rules(), "facts": ()},
}
_Rule = AssumptionRule | Tier | Contract | VariantRule
_Counts = Summary | Directory | AssumptionCheck | ContractCheck | Why | Variants
_Record = Evidence | TestResult | RunResult | StaticFacts | RunInfo | RunWarning | _Counts | _Rule
_NAMES: Final = {kind: tuple(field.name for field in fields(kind)) for kind in get_args(_Record)}


def render(classification: Classification) -> Iterator[bytes]:
    """The report as UTF-8 text, ending in a newline, in parts: the whole may be longer than there is memory.

    Indented down to the tests, each of which has a line, and a line for each evidence.
    """
    head = {
        "schema": classification.schema,
        "generated_at": classification.generated_at,
        "run": _run(classification.run),
        **({"runs": [_run(run) for run in classification.runs]} if classification.runs else {}),
        "rules": _rules(classification.rules),
    }
    summary = classification.summary
    tail = {
        "summary": _object(summary)
        | {"directories": {path: _object(directory) for path, directory in summary.directories.items()}},
        "validation": {service: _object(held) for service, held in classification.validation.items()},
        "contracts": [_object(held) for held in classification.contracts],
        "why": {service: _object(why) for service, why in classification.why.items()},
    }
    if classification.variants.compared:
        tail["variants"] = _object(classification.variants)
    yield dump(head, indent=True).removesuffix(b"\n}\n")
    yield b',\n  "facts": ['
    yield from _listed(_line(_object(facts)) for facts in classification.facts)
    yield b'\n  ],\n  "tests": {'
    yield from _listed(_test(nodeid, test) for nodeid, test in classification.tests.items())
    yield b'\n  },\n  "run_evidence": ['
    yield from _listed(_evidence(evidence) for evidence in classification.run_evidence)
    yield b"\n  ],\n"
    yield dump(tail, indent=True).removeprefix(b"{\n")


def read_classification(path: Path) -> Classification:
    """Read a report, plain or gzip.

    Raises:
        SvcTraceError: not a report that this version reads; names the place.
    """
    with open_input(path) as file, _without_collector():
        try:
            value = load(file.read())
            schema = value.get("schema") if isinstance(value, dict) else None
            if schema != SCHEMA:
                raise ValueError(f"its schema is {schema!r:.40}, not {SCHEMA!r}")
            classification: Classification = converter(Classification, _DEFAULTS)(value)
            _check_numbers(classification)
        except (ValueError, EOFError) as error:
            raise SvcTraceError(
                f"{path} is not a report that this version reads: {error}",
                hint="Name a report that svc-trace wrote, or make it again from its trace with `svc-trace report`.",
                slug="bad-report",
                exit_code=ExitStatus.BAD_INPUT,
            ) from error
    return classification


def _check_numbers(classification: Classification) -> None:
    """Hold the tests' references to what stands elsewhere in the report against what is there."""
    facts, runs = range(len(classification.facts)), range(len(classification.runs))
    for nodeid, test in classification.tests.items():
        if test.facts is not None and test.facts not in facts:
            raise ValueError(f"tests: {nodeid}: facts: there are {len(facts)}, none has number {test.facts}")
        if bool(test.runs) != bool(runs) or any(one.run not in runs for one in test.runs):
            raise ValueError(f"tests: {nodeid}: runs: not those of the report, which has {len(runs)}")


@contextmanager
def _without_collector() -> Iterator[None]:
    """A report is a tree of many small records: looking for cycles in it again and again is a good part of reading."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _listed(parts: Iterable[bytes]) -> Iterator[bytes]:
    """The members of an object or an array, each on a line."""
    separator = b"\n    "
    for part in parts:
        yield separator + part
        separator = b",\n    "


def _test(nodeid: str, test: TestResult) -> bytes:
    value = _object(test)
    if runs := value.pop("runs"):
        value["runs"] = [_object(run) for run in runs]
    evidence = b"".join(_listed(b"  " + _evidence(one) for one in value.pop("evidence")))
    return b'%b: %b,"evidence":[%b]}' % (_line(nodeid), _line(value).removesuffix(b"}"), evidence)


def _evidence(evidence: Evidence) -> bytes:
    """One line; made once of what many tests inherit."""
    return _shared(evidence) if evidence.via else _text(evidence)


def _text(evidence: Evidence) -> bytes:
    value = _object(evidence)
    for name in _SELDOM:
        if not value[name]:
            del value[name]
    return _line(value)


_shared: Final = lru_cache(maxsize=4096)(_text)


def _run(run: RunInfo) -> dict[str, Any]:
    return _object(run) | {"warnings": [_object(warning) for warning in run.warnings]}


def _rules(rules: Rules) -> dict[str, Any]:
    return {
        "assumptions": {service: _sorted_object(rule) for service, rule in rules.assumptions.items()},
        "tiers": [_sorted_object(tier) for tier in rules.tiers],
        "contracts": [_object(contract) for contract in rules.contracts],
        "variants": _object(rules.variants),
    }


def _line(value: object) -> bytes:
    return dump(value).removesuffix(b"\n")


def _object(record: _Record) -> dict[str, Any]:
    """A record's fields by name. `dataclasses.asdict` would copy all that is below."""
    return {name: getattr(record, name) for name in _NAMES[type(record)]}


def _sorted_object(record: AssumptionRule | Tier) -> dict[str, Any]:
    """The same, with sets as sorted lists."""
    values = _object(record).items()
    return {name: sorted(value) if isinstance(value, frozenset) else value for name, value in values}
