"""The baseline: accepted findings as plain text, to be reviewed and kept with the suite.

A line has one finding: kind, subject, and the node id up to the end of the line. The order of lines does not matter;
they are written sorted. A line that begins with `#` is a comment. Text that would not survive in a line (line ends and
other controls, lone surrogates, spaces at its ends) is written as a JSON string.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Final, cast, get_args

from tracer.classify.findings import Finding, Kind
from tracer.errors import SvcTraceError
from tracer.trace.input_file import open_input

_HEAD: Final = b"""\
# Accepted findings of svc-trace: kind, service, test. `svc-trace validate --baseline` shows which findings are new.
# Written by `svc-trace validate --write-baseline`, which replaces the file; the order of lines does not matter.
"""
_KINDS: Final = [kind for kind in get_args(Kind) if kind != "loss"]
_WORD: Final = re.compile(r'[^\s"#]\S*')
_LINE: Final = re.compile(r'(?P<kind>\S+)\s+(?P<subject>"(?:[^"\\]|\\.)*"|\S+)(?:\s+(?P<nodeid>.*))?')


def render(findings: Collection[Finding]) -> Iterator[bytes]:
    """The file that accepts these findings, in UTF-8. A loss cannot be accepted."""
    yield _HEAD
    for kind, subject, nodeid in sorted(finding for finding in findings if finding.kind != "loss"):
        subject = subject if _WORD.fullmatch(subject) and subject.isprintable() else json.dumps(subject)
        plain = nodeid.isprintable() and nodeid == nodeid.strip() and not nodeid.startswith('"')
        yield f"{kind} {subject} {nodeid if plain else json.dumps(nodeid)}".rstrip(" ").encode() + b"\n"


def read_baseline(path: Path) -> frozenset[Finding]:
    """Read a baseline, written by `render` or by hand.

    Raises:
        SvcTraceError: it cannot be read, or is not a baseline; names the line.
    """
    findings: set[Finding] = set()
    number = 1
    with open_input(path) as file:
        try:
            for number, line in enumerate(file.lines(), 1):  # noqa: B007 -- of the line that the error names
                stripped = line.decode().strip()
                if stripped and not stripped.startswith("#"):
                    findings.add(_finding(stripped))
        except ValueError as error:
            raise SvcTraceError(
                f"{path}, line {number}: {error}",
                hint=f"Write a kind ({', '.join(_KINDS)}), a service and a node id, or make the file again.",
                slug="bad-baseline",
            ) from error
    return frozenset(findings)


def _finding(line: str) -> Finding:
    if (match := _LINE.fullmatch(line)) is None:
        raise ValueError("the line is not a finding")
    if match["kind"] not in _KINDS:
        raise ValueError(f"the kind {match['kind']!r:.40} does not exist")
    return Finding(cast(Kind, match["kind"]), _read(match["subject"]), _read(match["nodeid"] or ""))


def _read(text: str) -> str:
    return str(json.loads(text)) if text.startswith('"') else text
