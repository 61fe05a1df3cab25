"""The JSON report: the classification, field by field. All commands that take a report read it."""

from __future__ import annotations

import gc
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import fields, is_dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

from msgspec import Struct

from tracer.classify.model import (
    SCHEMA,
    Classification,
    Evidence,
    TestResult,
)
from tracer.errors import ExitStatus, SvcTraceError
from tracer.trace.json_codec import dump, load
from tracer.trace.storage import open_input

_OPTIONAL: Final = ("self_hosted", "ambiguous", "listener")
"""Fields of an evidence that are written only if they are true, or known."""


class _Document(Struct):
    """The part of a document that says what it is."""

    schema: Any = None


def render(classification: Classification) -> Iterator[bytes]:
    """The report as UTF-8 text, ending in a newline, in parts: the whole may be larger than the memory.

    It is indented down to the tests; each test and each evidence is a line.
    """
    head: dict[str, object] = {
        "schema": classification.schema,
        "generated_at": classification.generated_at,
        "run": classification.run,
    }
    if classification.runs:
        head["runs"] = classification.runs
    head["rules"] = _sorted_sets(classification.rules)
    names = ("summary", "validation", "contracts", "why", *(["variants"] if classification.variants.compared else []))
    tail = {name: getattr(classification, name) for name in names}
    yield dump(head, indent=True).removesuffix(b"\n}\n")
    yield b',\n  "facts": ['
    yield from _listed(_line(facts) for facts in classification.facts)
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
            text = file.read()
            schema = load(text, _Document).schema
            if schema != SCHEMA:
                raise ValueError(f"its schema is {schema!r:.40}, not {SCHEMA!r}")
            classification: Classification = load(text, Classification)
            _check_numbers(classification)
        except (ValueError, EOFError) as error:
            raise SvcTraceError(
                f"cannot read {path} as a report: {error}",
                hint="Name a report that svc-trace wrote, or make it again from its trace with `svc-trace report`.",
                slug="bad-report",
                exit_code=ExitStatus.BAD_INPUT,
            ) from error
    return classification


def _check_numbers(classification: Classification) -> None:
    """Check that the facts and runs to which the tests refer by number are in the report."""
    facts, runs = range(len(classification.facts)), range(len(classification.runs))
    for nodeid, test in classification.tests.items():
        if test.facts is not None and test.facts not in facts:
            raise ValueError(f"tests: {nodeid}: facts: there are {len(facts)}, none has number {test.facts}")
        if bool(test.runs) != bool(runs) or any(one.run not in runs for one in test.runs):
            raise ValueError(f"tests: {nodeid}: runs: not those of the report, which has {len(runs)}")


@contextmanager
def _without_collector() -> Iterator[None]:
    """Switch the garbage collector off: it would search the many small records for cycles, a good part of reading."""
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
    if not test.runs:
        del value["runs"]
    evidence = b"".join(_listed(b"  " + _evidence(one) for one in value.pop("evidence")))
    return b'%b: %b,"evidence":[%b]}' % (_line(nodeid), _line(value).removesuffix(b"}"), evidence)


def _evidence(evidence: Evidence) -> bytes:
    """One line. Inherited evidence, which many tests share, is rendered once."""
    return _shared(evidence) if evidence.via else _text(evidence)


def _text(evidence: Evidence) -> bytes:
    value = _object(evidence)
    for name in _OPTIONAL:
        if not value[name]:
            del value[name]
    return _line(value)


_shared: Final = lru_cache(maxsize=4096)(_text)


def _line(value: object) -> bytes:
    return dump(value).removesuffix(b"\n")


def _object(record: Evidence | TestResult) -> dict[str, Any]:
    """A record's fields by name. `dataclasses.asdict` would copy everything below, too."""
    return {name: getattr(record, name) for name in record.__slots__}


def _sorted_sets(value: object) -> object:
    """A value with sorted lists in place of sets."""
    if is_dataclass(value):
        return {field.name: _sorted_sets(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Mapping):
        return {name: _sorted_sets(one) for name, one in value.items()}
    if isinstance(value, tuple):
        return [_sorted_sets(one) for one in value]
    return sorted(value) if isinstance(value, frozenset) else value
