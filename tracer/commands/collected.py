"""`--collected`: the present tests, as pytest lists them, or as files, directories, classes and node ids."""

from __future__ import annotations

import re
import sys
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator
from itertools import dropwhile, takewhile
from pathlib import Path
from typing import Final, NamedTuple

import click

from tracer.classify.directories import with_parents
from tracer.errors import SvcTraceError, counted
from tracer.trace.input_file import InputFile, input_errors, open_input, size_limit

_STDIN: Final = Path("-")
_END: Final = re.compile(r"(?:no|\d+(?:/\d+)?) tests? (?:collected|ran)\b.*|=+ .* =+")
"""The last line of `pytest --collect-only -q`."""
_COUNTED: Final = re.compile(r".*\S: \d+")
"""A line of `pytest --collect-only -qq`: a file and the number of its tests."""
_NODE: Final = re.compile(r"\s*<[A-Za-z]+ .+>")
"""A line of `pytest --collect-only`: a node of the tree."""


collected_option: Final = click.option(
    "--collected",
    type=click.Path(path_type=Path, allow_dash=True),
    metavar="FILE",
    help="Only these tests: the output of `pytest --collect-only -q`, or a list of files, directories, classes and "
    "node ids; - for stdin.",
)


class Collected(NamedTuple):
    """Tests to select from."""

    nodeids: tuple[str, ...]
    places: tuple[str, ...]  # files, directories and classes that were listed; their tests are those of the report


def read_collected(path: Path, known: Collection[str]) -> Collected:
    """Read the output of `pytest --collect-only -q`, or a list.

    Args:
        path: the file; `-`: stdin.
        known: the node ids of the report's tests. A file, directory, class or function that has some of them stands for
            these. Any other line with `::`, or that ends in `.py`, or that is a file or directory here, is an unknown
            test.

    Raises:
        SvcTraceError: it cannot be read, names no tests, or has a line that is none of these.
    """
    name = "stdin" if path == _STDIN else str(path)
    try:
        if path == _STDIN:
            with input_errors(name):
                lines = _lines(InputFile(sys.stdin.buffer, size_limit()).lines())
        else:
            with open_input(path) as file:
                lines = _lines(file.lines())
    except ValueError as error:
        raise SvcTraceError(
            f"cannot read {name}: {error}", hint="Make it with `pytest --collect-only -q`.", slug="cannot-read"
        ) from error
    if node := next((line for line in lines if _NODE.fullmatch(line) and line not in known), None):
        raise _error(f"{name} has a tree of tests, not one line for each: {node.strip()!r:.200}")
    if any(map(_END.fullmatch, lines)):
        collected = Collected(tuple(_listed_by_pytest(lines)), ())
    else:
        collected = _list(name, [line for line in lines if line.strip()], known)
    if not collected.nodeids:
        raise _error(f"{name} names no tests")
    return collected


def note_places(collected: Collected) -> None:
    """Say on stderr that new tests in listed places are unknown."""
    if collected.places:
        click.echo(
            f"svc-trace: {counted(len(collected.places), 'listed place')} (files, directories, classes): only the "
            "report's tests in them are known. For new ones, list them with `pytest --collect-only -q`.",
            err=True,
        )


def _lines(lines: Iterable[bytes]) -> list[str]:
    return [line.rstrip(b"\r\n").decode("utf-8", "surrogateescape") for line in lines]


def _listed_by_pytest(lines: Iterable[str]) -> Iterator[str]:
    """The node ids: up to the first empty line after them."""
    for line in takewhile(bool, dropwhile(lambda line: "::" not in line, lines)):
        if "::" in line:
            yield line


def _list(name: str, lines: Iterable[str], known: Collection[str]) -> Collected:
    """The tests of a list. Each is in the result once."""
    members = _members(known)
    nodeids: dict[str, None] = {}
    places = []
    for line in lines:
        entry = line if line in members or line in known else line.strip().removeprefix("./").rstrip("/") or "."
        if entry in members:
            nodeids.update(dict.fromkeys(members[entry]))
            places.append(entry)
        elif entry in known or "::" in entry or _is_path(entry):
            nodeids[entry] = None
        else:
            raise _error(f"{name}: {entry!r:.200} is no test, file or directory")
    return Collected(tuple(nodeids), tuple(places))


def _is_path(entry: str) -> bool:
    if _COUNTED.fullmatch(entry):
        return False
    try:
        return entry.endswith(".py") or Path(entry).exists()
    except (OSError, ValueError):  # such as a line that is too long for a name
        return False


def _members(nodeids: Iterable[str]) -> dict[str, list[str]]:
    """Directory, file, class, or function with parameters → its tests."""
    members: dict[str, list[str]] = defaultdict(list)
    for nodeid in nodeids:
        file, *names = nodeid.partition("[")[0].split("::")
        for length in range(1, len(names) + 1):
            outer = "::".join((file, *names[:length]))
            if outer != nodeid:
                members[outer].append(nodeid)
        for place in (file, *with_parents(file.rpartition("/")[0] or ".")):
            if place != nodeid:
                members[place].append(nodeid)
    return dict(members)


def _error(message: str) -> SvcTraceError:
    return SvcTraceError(
        message,
        hint="Make it with `pytest --collect-only` and exactly one -q, including those in pytest's configuration, or "
        "list files, directories, classes and node ids, one per line.",
        slug="no-collection",
    )
