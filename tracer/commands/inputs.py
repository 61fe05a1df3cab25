"""The reports that a command is given: paths and patterns, of which it takes all together."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from glob import glob, has_magic
from pathlib import Path

from tracer.classify.classification import classify, recheck
from tracer.classify.merge import merge
from tracer.classify.model import Classification
from tracer.classify.services.config import Rules, load_config
from tracer.errors import ExitStatus, SvcTraceError
from tracer.reports.json_report import read_classification
from tracer.trace.file import is_trace, read_trace


def merge_reports(patterns: Iterable[str], rules: Rules | None = None) -> Classification:
    """Merge the reports that these paths and patterns name, each read in its turn, judged by `rules` if there are any.

    Raises:
        SvcTraceError: a pattern that nothing matches, a file that is no report, or reports made by different rules.
    """
    return merge(_parts(_paths(patterns), rules))


def read_reports(patterns: Iterable[str]) -> Classification:
    """The report that is named, as it is; several are merged.

    Raises:
        SvcTraceError: as of `merge_reports`.
    """
    paths = _paths(patterns)
    return read_classification(paths[0]) if len(paths) == 1 else merge(_parts(paths, None))


def read_source(source: Path, config: Path | None) -> Classification:
    """The classification of one report, as it was made, or of one trace, by the configuration.

    Raises:
        SvcTraceError: it cannot be read, or a trace's configuration cannot be used.
    """
    if is_trace(source):
        return classify(read_trace(source), load_config(config, Path.cwd()), generated_at=datetime.now(UTC))
    return read_classification(source)


def _paths(patterns: Iterable[str]) -> list[Path]:
    """The files in the order in which they are named, each once; `**` stands for any number of folders."""
    found: dict[Path, None] = {}
    for pattern in patterns:
        plain = not has_magic(pattern) or Path(pattern).exists()
        paths = [pattern] if plain else sorted(glob(pattern, recursive=True))  # noqa: PTH207 -- absolute ones too
        if not paths:
            raise SvcTraceError(
                f"no file matches {pattern}",
                hint="Name reports that svc-trace wrote; did the jobs that write them run, and hand them over?",
                slug="no-reports",
                exit_code=ExitStatus.BAD_INPUT,
            )
        found.update(dict.fromkeys(map(Path, paths)))
    return list(found)


def _parts(paths: list[Path], judged_by: Rules | None) -> Iterator[Classification]:
    rules = judged_by
    for path in paths:
        part = read_classification(path)
        if judged_by is not None:
            part = recheck(part, judged_by)
        elif rules is not None and part.rules != rules:
            raise SvcTraceError(
                f"{path} was made by other rules than {paths[0]}",
                hint="Judge all by one configuration: `svc-trace merge --config PATH`.",
                slug="different-rules",
                exit_code=ExitStatus.BAD_INPUT,
            )
        rules = part.rules
        yield part
