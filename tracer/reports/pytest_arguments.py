"""Node ids as arguments for pytest, from a file (`pytest @FILE`, from pytest 8.2) or by `xargs -0`."""

from __future__ import annotations

from collections.abc import Iterable

from tracer.errors import SvcTraceError


def pytest_arguments(names: Iterable[str], end: bytes) -> list[bytes]:
    r"""Each name as an argument, with its end: `\n` or `\0`.

    argparse, which reads pytest's @FILE, splits it wherever `str.splitlines` does, and before Python 3.12 it reads only
    UTF-8.

    Raises:
        SvcTraceError: a name would be read as two, or cannot be an argument of a process.
    """
    in_line = end == b"\n"
    arguments: list[bytes] = []
    for name in names:
        argument = f"./{name}" if name.startswith(("-", "@")) else name  # neither an option nor a file of arguments
        try:
            encoded = argument.encode("utf-8", "strict" if in_line else "surrogateescape")  # as file names (PEP 383)
        except UnicodeEncodeError:
            encoded = b"\0"
        if b"\0" in encoded or (in_line and argument.splitlines() != [argument]):
            raise SvcTraceError(
                f"{name!a} cannot be {'a line of a file for' if in_line else 'an argument of'} pytest",
                hint="Use -0 and `xargs -0 pytest`, or select whole classes or files with --by.",
                slug="not-selectable",
            )
        arguments.append(encoded + end)
    return arguments
