"""Remarks about tests at their places in the source, for formats that a code review shows."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple

from tracer.classify.findings import Kind

Check = Kind | Literal["changed"]
"""What an annotation is about: a kind of finding, or that a test uses other services than before."""

TITLES: Final[Mapping[Check, str]] = {
    "loss": "incomplete run",
    "blind-spots": "blind spot",
    "contracts": "broken contract",
    "over-assumed": "over-assumption",
    "unknown": "unknown endpoint",
    "refused": "use of a refused service",
    "changed": "other services",
}
"""What an annotation is about, in words; the most important first."""


class Place(NamedTuple):
    """A place in the source."""

    path: str  # from the top of the repository, with forward slashes
    line: int | None = None  # counted from 1; None: unknown


@dataclass(frozen=True, slots=True)
class Annotation:
    """A remark."""

    check: Check
    subject: str  # as of a finding
    nodeid: str  # the test; empty: it is about none
    place: Place | None  # of the test or the configuration; None: it has none
    text: str  # after the test's name, if there is a test; otherwise a clause

    @property
    def name(self) -> str:
        """The test's name without its file."""
        return self.nodeid.partition("::")[2] or self.nodeid


class AnnotationsDocument(ABC):
    """A document with remarks about tests."""

    @abstractmethod
    def annotations(self) -> Iterator[Annotation]:
        """The remarks, the most important first."""


def file_of(nodeid: str) -> Place:
    """The place of a test, as far as its node id shows it: its file."""
    return Place(nodeid.partition("::")[0])
