"""Node ids as arguments for pytest, from a file (`pytest @FILE`, from pytest 8.2) or by `xargs -0`."""

from __future__ import annotations

from collections.abc import Iterable

from tracer.errors import ExitStatus, SvcTraceError


def arguments(names: Iterable[str], end: bytes) -> list[bytes]:
    r"""Each name as it has to be written, with its end: `\n` or `\0`.

    argparse, which reads pytest's @FILE, splits it at all that ends a line for `str.splitlines`, and before Python 3.12
    it takes nothing but UTF-8.

    Raises:
        SvcTraceError: a name cannot be told from two, or cannot be an argument of a process.
    """
    return [_argument(name, end) + end for name in names]


def _argument(name: str, end: bytes) -> bytes:
    told = f"./{name}" if name.startswith(("-", "@")) else name  # no option, and no file of arguments
    in_line = end == b"\n"
    try:
        written = told.encode("utf-8", "strict" if in_line else "surrogateescape")  # as file names come (PEP 383)
    except UnicodeEncodeError:
        written = b"\0"
    if b"\0" in written or (in_line and told.splitlines() != [told]):
        raise SvcTraceError(
            f"pytest cannot be given {name!a} this way",
            hint="Select with -0 for `xargs -0 pytest`, or --by class or file.",
            slug="not-selectable",
            exit_code=ExitStatus.BAD_INPUT,
        )
    return written
