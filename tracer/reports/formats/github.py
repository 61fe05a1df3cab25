"""What GitHub Actions reads: annotations, and a plan as the matrix of a job, on one line for `fromJSON`.

https://docs.github.com/actions/reference/workflow-commands-for-github-actions
https://docs.github.com/actions/using-jobs/using-a-matrix-for-your-jobs
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Final, TextIO

from tracer.reports.annotations import TITLES, Annotation, AnnotationsDocument, Check
from tracer.reports.formats.format import Document, Format
from tracer.reports.shard_files import ShardsDocument, file_name, startable
from tracer.reports.text import counted, first, printable
from tracer.trace.json_codec import dump

_LEVELS: Final[Mapping[Check, str]] = {
    "loss": "error",
    "blind-spots": "warning",
    "contracts": "error",
    "over-assumed": "notice",
    "unknown": "warning",
    "refused": "warning",
    "changed": "notice",
}
_SHOWN: Final = 10
"""Annotations of each level that GitHub shows of a step."""
_ESCAPES: Final = str.maketrans({"%": "%25", "\r": "%0D", "\n": "%0A"})
_PROPERTY_ESCAPES: Final = _ESCAPES | str.maketrans({":": "%3A", ",": "%2C"})


def print_document(document: Document, file: TextIO) -> None:
    """Write the workflow commands of a document's annotations, or a plan's matrix."""
    if isinstance(document, AnnotationsDocument):
        file.buffer.writelines(command.encode("utf-8", "backslashreplace") for command in _commands(document))
    else:
        assert isinstance(document, ShardsDocument)
        shards = enumerate(document.shards(), 1)
        jobs = [{"shard": n, "services": " ".join(startable(one)), "file": file_name(n)} for n, one in shards]
        file.buffer.write(dump({"include": jobs}))


def _commands(document: AnnotationsDocument) -> Iterator[str]:
    """The commands of each level. If there are more than GitHub shows, the last counts those that are not there."""
    alike: dict[tuple[object, ...], list[Annotation]] = defaultdict(list)  # such as the variants of one test
    for one in document.annotations():
        alike[_LEVELS[one.check], one.check, one.place, one.text].append(one)
    for level in ("error", "warning", "notice"):
        of_level = [group for key, group in alike.items() if key[0] == level]
        shown = of_level if len(of_level) <= _SHOWN else of_level[: _SHOWN - 1]
        for group in shown:
            one, names = group[0], first([annotation.name for annotation in group if annotation.nodeid])
            properties = {"title": f"svc-trace: {TITLES[one.check]}"}
            if one.place is not None:
                line = {} if one.place.line is None else {"line": str(one.place.line)}
                properties = {"file": one.place.path, **line, **properties}
            yield _command(level, properties, f"{names}: {one.text}" if names else one.text)
        if rest := len(of_level) - len(shown):
            text = f"GitHub does not show {counted(rest, f'more {level}')}: run the command without --format"
            yield _command(level, {"title": "svc-trace"}, text)


def _command(level: str, properties: Mapping[str, str], text: str) -> str:
    given = ",".join(f"{name}={value.translate(_PROPERTY_ESCAPES)}" for name, value in properties.items())
    return f"::{level} {given}::{printable(text).translate(_ESCAPES)}\n"


FORMAT: Final = Format(
    "github",
    "for GitHub Actions: annotations, or a plan's matrix",
    print_document,
    document=(AnnotationsDocument, ShardsDocument),
)
