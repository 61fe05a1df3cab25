"""The JSON report: the classification, field by field. All commands that take a report read it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import nullcontext
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

from msgspec import to_builtins
from msgspec.structs import asdict, replace

from tracer.classify.combinations import count_combinations
from tracer.classify.model import SCHEMA, Classification, Evidence, RunInfo, TestResult
from tracer.classify.run_needs import RunNeeds
from tracer.classify.services.rules import Rules
from tracer.classify.verified import unite
from tracer.errors import SvcTraceError
from tracer.reports.json_document import line, listed, load_document
from tracer.reports.verify_json import checked, render_within
from tracer.trace.garbage import uncollected
from tracer.trace.input_file import InputFile, open_input
from tracer.trace.json_codec import dump

_OPTIONAL: Final = {
    "host": None,
    "self_hosted": False,
    "ambiguous": False,
    "asked": None,
    "listener": None,
    "operations": (),
    "other_sends": 0,
    "needed_below": (),
}
"""Fields of an evidence → the value with which they are not written."""


def render(classification: Classification) -> Iterator[bytes]:
    """The report as UTF-8 text, ending in a newline, in parts: the whole may be larger than the memory.

    It is indented down to the tests; each test and each evidence is a line.
    """
    first = ("schema", "generated_at", "run", *(["runs"] if classification.runs else []))
    head: dict[str, Any] = {name: getattr(classification, name) for name in first}
    head |= {"run": _run(classification.run), "rules": _rules(classification.rules)}
    if classification.runs:
        head["runs"] = [_run(run) for run in classification.runs]
    present = {
        "run_needs": classification.run_needs,
        "variants": classification.variants.compared,
        "refused": classification.run.refused,
    }
    last = ("run_needs", "summary", "validation", "contracts", "why", "variants", "refused")
    tail = {name: getattr(classification, name) for name in last if present.get(name, True)}
    yield dump(head, indent=True).removesuffix(b"\n}\n")
    yield b',\n  "facts": ['
    yield from listed(line(facts) for facts in classification.facts)
    if classification.set_ups:
        yield b'\n  ],\n  "set_ups": ['
        yield from listed(line(set_up) for set_up in classification.set_ups)
    yield b'\n  ],\n  "tests": {'
    yield from listed(_test(nodeid, test) for nodeid, test in classification.tests.items())
    yield b'\n  },\n  "run_evidence": ['
    yield from listed(_evidence(evidence) for evidence in classification.run_evidence)
    yield b"\n  ],\n"
    if classification.verified:
        yield b'  "verified": ['
        yield from listed(map(render_within, classification.verified))
        yield b"\n  ],\n"
    yield dump(tail, indent=True).removeprefix(b"{\n")


@uncollected()
def read_classification(path: Path, file: InputFile | None = None) -> Classification:
    """Read a report, plain or gzip.

    Args:
        path: the report's.
        file: the report, if it is open already.

    Raises:
        SvcTraceError: not a report that this version reads; names the place.
    """
    try:
        with open_input(path) if file is None else nullcontext(file) as opened:
            classification: Classification = load_document(opened, SCHEMA, Classification)
        _check_numbers(classification)
        _check_validation(classification)
        if classification.verified:
            classification = replace(classification, verified=unite(map(checked, classification.verified)))
        if not classification.summary.combinations:  # of an older version
            combinations = count_combinations(classification.tests, RunNeeds(classification.run_needs))
            classification = replace(classification, summary=replace(classification.summary, combinations=combinations))
    except (ValueError, EOFError) as error:
        raise SvcTraceError(
            f"cannot read {path} as a report: {error}",
            hint="Name a report that svc-trace wrote, or make it again from its trace with `svc-trace report`.",
            slug="bad-report",
        ) from error
    return classification


def _check_numbers(classification: Classification) -> None:
    """Check that the facts, set-ups and runs to which the tests refer by number are in the report."""
    facts, runs = range(len(classification.facts)), range(len(classification.runs))
    set_ups = range(len(classification.set_ups))
    for nodeid, test in classification.tests.items():
        if test.facts is not None and test.facts not in facts:
            raise ValueError(f"tests: {nodeid}: facts: there are {len(facts)}, none has number {test.facts}")
        if not all(number in set_ups for number in test.set_ups):
            raise ValueError(f"tests: {nodeid}: set_ups: not those of the report, which has {len(set_ups)}")
        if bool(test.runs) != bool(runs) or any(one.run not in runs for one in test.runs):
            raise ValueError(f"tests: {nodeid}: runs: not those of the report, which has {len(runs)}")


def _check_validation(classification: Classification) -> None:
    """Check that each rule's check is in the report."""
    if missing := next((one for one in classification.rules.assumptions if one not in classification.validation), None):
        raise ValueError(f"validation: there is none of {missing!r:.80}")


def _test(nodeid: str, test: TestResult) -> bytes:
    value = asdict(test)
    del value["evidence"]
    for name in ("runs", "set_ups", "shared_s"):
        if not value[name]:
            del value[name]
    evidence = b"".join(listed(b"  " + _evidence(one) for one in test.evidence))
    return b'%b: %b,"evidence":[%b]}' % (line(nodeid), line(value).removesuffix(b"}"), evidence)


@lru_cache(maxsize=4096)  # many tests share inherited evidence
def _evidence(evidence: Evidence) -> bytes:
    fields = asdict(evidence).items()
    return line({name: value for name, value in fields if name not in _OPTIONAL or value != _OPTIONAL[name]})


def _run(run: RunInfo) -> dict[str, Any]:
    value = asdict(run)
    for name in ("refused", "partial"):
        if not value[name]:
            del value[name]
    return value


def _rules(rules: Rules) -> dict[str, Any]:
    """The rules, with sorted lists in place of sets."""
    value: dict[str, Any] = to_builtins(rules, order="deterministic")  # which sorts mappings, too
    return value | {"assumptions": {service: value["assumptions"][service] for service in rules.assumptions}}
