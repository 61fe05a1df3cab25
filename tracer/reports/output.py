"""Files that users keep: each is written beside its place and renamed, so that no reader finds half a file."""

from __future__ import annotations

import gzip
from collections.abc import Iterable
from io import BufferedWriter, RawIOBase
from pathlib import Path
from typing import Final, cast

from tracer.trace.storage import cannot_write, partial_path

_BUFFER: Final = 1 << 18  # bytes
_LEVEL: Final = 1
"""The fastest level of gzip; reports repeat so much that it packs them well."""


def write_file(path: Path, parts: Iterable[bytes]) -> None:
    """Write a whole file, packed by gzip if its name ends in `.gz`.

    A symbolic link stays one. A path that is not a regular file (`/dev/stdout`) is written to directly.

    Raises:
        SvcTraceError: it cannot be written. An older file is unchanged then, and no partial one is left.
    """
    packed = path.suffix == ".gz"
    try:
        if path.exists() and not path.is_file():
            _write(path, parts, packed=packed)
            return
        target = path.resolve()
        partial = partial_path(target)
        try:
            _write(partial, parts, packed=packed)
            partial.replace(target)
        except BaseException:  # also those raised while the parts are made
            partial.unlink(missing_ok=True)
            raise
    except OSError as error:
        raise cannot_write(path, error) from error


def _write(path: Path, parts: Iterable[bytes], *, packed: bool) -> None:
    with cast(BufferedWriter, path.open("wb", buffering=_BUFFER)) as file:
        try:
            if packed:  # as `gzip -1n`: without a time, so that equal reports are equal files
                packer = gzip.GzipFile("", "wb", _LEVEL, file, mtime=0)
                buffered = BufferedWriter(cast(RawIOBase, packer), _BUFFER)
                buffered.writelines(parts)
                buffered.close()
            else:
                file.writelines(parts)
        except BaseException:
            file.raw.close()  # without what is buffered: the end of a pipe may never read it
            raise
