"""The files of a plan's shards, for `pytest @FILE`, and what else its formats share."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tracer.classify.model import ALL_UNKNOWN
from tracer.classify.selection import Unit, unit_of
from tracer.errors import SvcTraceError
from tracer.reports.output import write_file
from tracer.reports.pytest_arguments import pytest_arguments

if TYPE_CHECKING:  # all commands import the formats, and only one needs plans
    from tracer.classify.plan.plan import Shard

_OURS: Final = re.compile(r"shard-[0-9]+\.txt")
_LINE: Final = b"\n"


class ShardsDocument(ABC):
    """A document with shards, for the formats that a CI reads."""

    @abstractmethod
    def shards(self) -> Sequence[Shard]:
        """The shards; they are counted from 1."""

    @abstractmethod
    def seconds(self) -> Mapping[str, float]:
        """Node id → the test's duration."""


def file_name(number: int) -> str:
    """The name of a shard's file; shards are counted from 1."""
    return f"shard-{number}.txt"


def startable(shard: Shard) -> tuple[str, ...]:
    """The services of a shard that a CI can start: those with a name."""
    return tuple(service for service in shard.services if service != ALL_UNKNOWN)


def is_argument(nodeid: str) -> bool:
    """Whether a node id can be a line of a file for pytest."""
    try:
        pytest_arguments([nodeid], _LINE)
    except SvcTraceError:
        return False
    return True


def arguments(shard: Shard, unit: Unit) -> Iterator[str]:
    """What selects a shard's tests in pytest: whole units, each once.

    A test whose node id cannot be a line is selected with its whole function or class, which is in the same shard.
    """
    names = (
        unit_of(test, unit) if is_argument(unit_of(test, unit)) else unit_of(test, "class") for test in shard.tests
    )
    yield from dict.fromkeys(names)


def write_shards(directory: Path, shards: Iterable[Shard], unit: Unit) -> None:
    """Write a file for each shard, and remove those that an earlier plan has left.

    No file is empty: with an empty one, `pytest @FILE` would run every test.

    Raises:
        SvcTraceError: a file cannot be written, or a name in it would be read as two.
    """
    contents = {
        file_name(number): pytest_arguments(arguments(shard, unit), _LINE) for number, shard in enumerate(shards, 1)
    }
    directory.mkdir(parents=True, exist_ok=True)
    for path in directory.iterdir():
        if _OURS.fullmatch(path.name) and path.name not in contents:
            path.unlink()
    for name, lines in contents.items():
        write_file(directory / name, lines)
