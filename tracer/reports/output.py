"""Files that users keep: each is written beside its place and renamed, so that no reader finds half a file."""

from __future__ import annotations

import gzip
from collections.abc import Iterable
from io import BufferedWriter, RawIOBase
from pathlib import Path
from typing import Final, cast

from tracer.trace.destination import BUFFER, replacing
from tracer.trace.storage import cannot_write

_LEVEL: Final = 1
"""The fastest level of gzip; reports repeat so much that it packs them well."""


def write_file(path: Path, parts: Iterable[bytes]) -> None:
    """Write a whole file, packed by gzip if its name ends in `.gz`.

    Raises:
        SvcTraceError: it cannot be written. An older file is unchanged then, and no partial one is left.
    """
    try:
        with replacing(path) as file:
            _write(file, parts, packed=path.suffix == ".gz")
    except OSError as error:
        raise cannot_write(path, error) from error


def _write(file: BufferedWriter, parts: Iterable[bytes], *, packed: bool) -> None:
    try:
        if packed:  # as `gzip -1n`: without a time, so that equal reports are equal files
            packer = gzip.GzipFile("", "wb", _LEVEL, file, mtime=0)
            buffered = BufferedWriter(cast(RawIOBase, packer), BUFFER)
            buffered.writelines(parts)
            buffered.close()
        else:
            file.writelines(parts)
    except BaseException:
        file.raw.close()  # without what is buffered: the end of a pipe may never read it
        raise
