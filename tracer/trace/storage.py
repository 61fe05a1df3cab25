"""The files that a user names for input and output, and the errors if they cannot be read or written."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Final, cast

from tracer.errors import ExitStatus, SvcTraceError

GZIP_MAGIC: Final = b"\x1f\x8b"  # RFC 1952, 2.3.1


@contextmanager
def open_input(path: Path) -> Iterator[BinaryIO]:
    """Open a file for reading, plain or gzip, which its first two bytes decide.

    Reading a truncated gzip file up to its end raises EOFError.

    Raises:
        SvcTraceError: it cannot be opened, or cannot be read while it is open.
    """
    try:
        with path.open("rb") as plain:
            if plain.peek(2)[:2] == GZIP_MAGIC:
                with gzip.GzipFile(fileobj=plain) as unpacked:
                    yield cast(BinaryIO, unpacked)
            else:
                yield plain
    except (OSError, zlib.error) as error:
        raise SvcTraceError(
            f"cannot read {path}: {_reason(error)}",
            hint="Name a file that `svc-trace --trace` or `svc-trace -o` wrote.",
            slug="cannot-read",
            exit_code=ExitStatus.BAD_INPUT,
        ) from error


def partial_path(path: Path) -> Path:
    """The path of a file until it is complete and renamed: `PATH.partial`."""
    return path.with_name(f"{path.name}.partial")


def cannot_write(path: Path, error: OSError) -> SvcTraceError:
    """The error for a file that cannot be created, written or renamed into place."""
    return SvcTraceError(
        f"cannot write {path}: {_reason(error)}",
        hint="Choose another path, or check the free space and whether the command's user may write to the directory.",
        slug="cannot-write",
        exit_code=ExitStatus.CANNOT_WRITE,
    )


def _reason(error: Exception) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error)
