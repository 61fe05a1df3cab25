"""What a format is, and what a document offers to it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Protocol, TextIO

from tracer.reports.blocks import Block


class Document(Protocol):
    """What a command prints."""

    def page(self) -> Iterable[Block]:
        """The document for people, as blocks."""

    def json(self) -> Iterable[bytes]:
        """The document for programs: UTF-8 text in parts, with everything that there is to know."""


@dataclass(frozen=True, slots=True)
class Format:
    """One way to print documents."""

    name: str  # the value of `--format`
    help: str  # a few words for `--help`
    print: Callable[[Document, TextIO], None]
    document: type | tuple[type, ...] = object  # the only types of documents that it can print; `object`: any
    options: frozenset[str] = frozenset()  # those of `tests`, `directories` and `map` that it obeys
    depth: int | None = None  # levels of directories that it shows without `--directories`
    kept: bool = False  # a file to keep: `--output` is its path, not that of the JSON report
