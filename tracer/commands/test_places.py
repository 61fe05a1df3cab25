"""The places of tests in the working directory, if it is pytest's rootdir: file and line, for annotations."""

from __future__ import annotations

import ast
import os
import stat
import warnings
from collections.abc import Callable
from functools import cache
from pathlib import Path, PurePosixPath
from typing import Final

from tracer.reports.annotations import Place

_LARGEST: Final = 1 << 20  # bytes of a file with tests


def places_here() -> Callable[[str], Place]:
    """The place of a test by its node id, or of a file by its path; both from the working directory.

    The line is that of the function; of an inherited one, of the class. Paths begin at the repository's top: the
    nearest directory with `.git`.
    """
    here = Path.cwd()
    top = next((one for one in (here, *here.parents) if (one / ".git").exists()), here)
    lines = cache(_lines)

    def place(nodeid: str) -> Place:
        file, _, names = nodeid.partition("::")
        path = here / file
        if not _is_regular(path) or not (path := Path(os.path.normpath(path))).is_relative_to(top):
            return Place(file)
        known = lines(path) if path.suffix == ".py" else {}
        parts = names.partition("[")[0].split("::")
        enclosing = ("::".join(parts[:end]) for end in range(len(parts), 0, -1))
        line = next((known[name] for name in enclosing if name in known), None)
        return Place(str(PurePosixPath(path.relative_to(top))), line)

    return place


def _is_regular(path: Path) -> bool:
    try:
        return stat.S_ISREG(path.stat().st_mode)
    except (OSError, ValueError):  # a name with a NUL
        return False


def _lines(path: Path) -> dict[str, int]:
    """The last definition of each function and class: `Class::method` → line. Empty if it cannot be parsed."""
    try:
        with path.open("rb") as file, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of the file's own text
            tree = ast.parse(file.read(_LARGEST))
    except (OSError, SyntaxError, ValueError, RecursionError, MemoryError):
        return {}
    found: dict[str, int] = {}
    pending: list[tuple[ast.AST, str]] = [(tree, "")]
    while pending:
        node, prefix = pending.pop()
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                name = prefix + child.name
                found[name] = max(child.lineno, found.get(name, 0))
                if isinstance(child, ast.ClassDef):
                    pending.append((child, f"{name}::"))
            elif isinstance(child, ast.stmt | ast.excepthandler | ast.match_case):  # such as `if` and `try`
                pending.append((child, prefix))
    return found
