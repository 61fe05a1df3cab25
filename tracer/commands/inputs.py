"""The reports that a command reads: paths and patterns."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from glob import glob, has_magic
from pathlib import Path
from typing import NamedTuple

from msgspec.structs import replace

from tracer.classify.classification import classify, recheck
from tracer.classify.merge import merge
from tracer.classify.model import Classification
from tracer.classify.reclassification import reclassify
from tracer.classify.services.config import Searched
from tracer.classify.services.rules import Rules
from tracer.classify.verified import unite
from tracer.commands.configurations import find_configuration, with_rootdirs
from tracer.errors import SvcTraceError
from tracer.reports.json_report import read_classification
from tracer.reports.verify_json import read_verification
from tracer.trace.file import is_trace, read_trace
from tracer.trace.input_file import open_input


def read_reports(patterns: Iterable[str], rules: Rules | None = None, *, merged: bool = False) -> Classification:
    """The reports that match these paths and patterns, merged; a single one as it is, unless `merged`.

    With `rules`, each is checked by these first.

    Raises:
        SvcTraceError: a pattern matches nothing, a file is not a report, or the reports were made with different rules.
    """
    paths = matching_paths(patterns)
    parts = _parts(paths, rules)
    return merge(parts) if merged or len(paths) > 1 else next(parts)


class Source(NamedTuple):
    """A classification that was read."""

    classification: Classification
    is_report: bool  # it was read from a report, not from a trace
    searched: Searched | None  # where its rules came from; None: from the report


def read_source(source: Path, config: Path | None) -> Source:
    """The classification in a report, or that of a trace, which the configuration gives.

    Without `config`, a trace has the nearest configuration, and a report the rules in it. With it, a report is
    classified again as far as its evidence allows.

    Raises:
        SvcTraceError: it cannot be read, or the configuration cannot be used.
    """
    with open_input(source) as file:  # once: it may be a pipe
        if is_trace(file):
            trace = read_trace(source, file)
            found = with_rootdirs(find_configuration(config), trace)
            return Source(
                classify(trace, found.config, generated_at=datetime.now(UTC), take_flows=True), False, found.searched
            )
        classification = read_classification(source, file)
        if config is None:
            return Source(classification, True, None)
        found = find_configuration(config)
        return Source(reclassify(classification, found.config), True, found.searched)


def with_verdicts(classification: Classification, patterns: Iterable[str]) -> Classification:
    """A classification with the verdicts in the files that match these paths and patterns, besides its own.

    Raises:
        SvcTraceError: a pattern matches nothing, or a file has no verdicts.
    """
    verdicts = [read_verification(path) for path in matching_paths(patterns)]
    if not verdicts:
        return classification
    return replace(classification, verified=unite((*classification.verified, *verdicts)))


def matching_paths(patterns: Iterable[str]) -> list[Path]:
    """The files in the order in which they are named, each once; `**` matches any number of directories.

    Raises:
        SvcTraceError: a pattern matches nothing.
    """
    paths: dict[Path, None] = {}
    for pattern in patterns:
        plain = not has_magic(pattern) or Path(pattern).exists()
        matches = [pattern] if plain else sorted(glob(pattern, recursive=True))  # noqa: PTH207 -- absolute ones too
        if not matches:
            raise SvcTraceError(
                f"no file matches {pattern}",
                hint="Name files that svc-trace wrote. Check that the jobs that write them ran and uploaded them.",
                slug="no-reports",
            )
        paths.update(dict.fromkeys(map(Path, matches)))
    return list(paths)


def _parts(paths: list[Path], given_rules: Rules | None) -> Iterator[Classification]:
    """Each report in turn, by the given rules, or by its own, which must be the same in all."""
    rules = given_rules
    for path in paths:
        part = read_classification(path)
        if given_rules is not None:
            part = recheck(part, given_rules)
        elif rules is not None and part.rules != rules:
            raise SvcTraceError(
                f"{paths[0]} and {path} were made with different rules",
                hint="Apply one configuration to all: `svc-trace merge --config PATH`.",
                slug="different-rules",
            )
        rules = part.rules
        yield part
