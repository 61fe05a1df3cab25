"""Where reports go: a file is written beside its place and renamed into it, so that nobody finds half of one."""

from __future__ import annotations

import gzip
from collections.abc import Iterable
from io import BufferedWriter, RawIOBase
from pathlib import Path
from typing import Final, cast

from tracer.trace.storage import cannot_write, partial_path

_BUFFER: Final = 1 << 18  # bytes
_LEVEL: Final = 1
"""Of gzip, the fastest: reports repeat themselves so much that it packs them well."""


def write_file(path: Path, parts: Iterable[bytes]) -> None:
    """Put a whole file in its place, packed by gzip if its name ends in `.gz`.

    A symbolic link stays one; what is no regular file (`/dev/stdout`) is written to.

    Raises:
        SvcTraceError: it cannot be written; a file that stood there is untouched then, and no partial one is left.
    """
    write = _write_packed if path.suffix == ".gz" else _write
    try:
        if path.exists() and not path.is_file():
            write(path, parts)
            return
        target = path.resolve()
        partial = partial_path(target)
        try:
            write(partial, parts)
            partial.replace(target)
        except BaseException:  # also of what makes the parts
            partial.unlink(missing_ok=True)
            raise
    except OSError as error:
        raise cannot_write(path, error) from error


def _write(path: Path, parts: Iterable[bytes]) -> None:
    with path.open("wb", buffering=_BUFFER) as file:
        file.writelines(parts)


def _write_packed(path: Path, parts: Iterable[bytes]) -> None:
    """As `gzip -1n` does: without a time, so that the same report is the same file."""
    with (
        path.open("wb") as file,
        gzip.GzipFile("", "wb", _LEVEL, file, mtime=0) as packer,
        BufferedWriter(cast(RawIOBase, packer), _BUFFER) as buffered,
    ):
        buffered.writelines(parts)
