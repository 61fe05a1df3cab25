"""Annotations as GitLab's Code Quality report, which a merge request compares with that of its target branch.

https://docs.gitlab.com/ci/testing/code_quality/#code-quality-report-format
"""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256
from typing import Any, Final, TextIO

from tracer.reports.annotations import Annotation, AnnotationsDocument, Check, Place
from tracer.reports.formats.format import Document, Format
from tracer.reports.json_document import line, listed
from tracer.reports.text import printable

_SEVERITIES: Final[Mapping[Check, str]] = {
    "loss": "critical",
    "blind-spots": "major",
    "contracts": "critical",
    "over-assumed": "minor",
    "unknown": "minor",
    "refused": "major",
    "changed": "info",
}
_NOWHERE: Final = Place("svc-trace.toml")  # each issue must have a path: that of the configuration which would fix it


def print_document(document: Document, file: TextIO) -> None:
    """Write the issues, one on a line."""
    assert isinstance(document, AnnotationsDocument)
    file.buffer.write(b"[")
    file.buffer.writelines(listed(line(_issue(one)) for one in document.annotations()))
    file.buffer.write(b"\n]\n")


def _issue(one: Annotation) -> dict[str, Any]:
    """The fingerprint says which finding it is, wherever the test stands in its file, and whatever the evidence is."""
    place = one.place or _NOWHERE
    identity = "\0".join((one.check, one.subject, one.nodeid))
    return {
        "description": printable(f"{one.name}: {one.text}" if one.nodeid else one.text),
        "check_name": f"svc-trace/{one.check}",
        "fingerprint": sha256(identity.encode("utf-8", "surrogatepass")).hexdigest(),
        "severity": _SEVERITIES[one.check],
        "location": {"path": printable(place.path), "lines": {"begin": place.line or 1}},
    }


FORMAT: Final = Format("codequality", "Code Quality for GitLab", print_document, document=AnnotationsDocument)
