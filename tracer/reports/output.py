"""Files that users keep: each is written beside its place and renamed, so that no reader finds half a file."""

from __future__ import annotations

import gzip
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from io import BufferedWriter, RawIOBase
from pathlib import Path
from typing import BinaryIO, Final, cast

from tracer.trace.destination import BUFFER, replacing
from tracer.trace.storage import cannot_write

_LEVEL: Final = 1
"""The fastest level of gzip; reports repeat so much that it packs them well."""


def write_file(path: Path, parts: Iterable[bytes]) -> None:
    """Write a whole file, packed by gzip if its name ends in `.gz`.

    Raises:
        SvcTraceError: it cannot be written. An older file is unchanged then, and no partial one is left.
    """
    with writing(path) as file:
        file.writelines(parts)


@contextmanager
def writing(path: Path) -> Iterator[BinaryIO]:
    """Write a file as `write_file` does, in the block. If the block ends in an error, nothing is written.

    Raises:
        SvcTraceError: it cannot be written.
    """
    try:
        with replacing(path) as file:
            try:
                if path.suffix == ".gz":  # as `gzip -1n`: without a time, so that equal reports are equal files
                    packer = gzip.GzipFile("", "wb", _LEVEL, file, mtime=0)
                    packed = BufferedWriter(cast(RawIOBase, packer), BUFFER)
                    yield packed
                    packed.close()
                else:
                    yield file
            except BaseException:
                file.raw.close()  # without what is buffered: the end of a pipe may never read it
                raise
    except OSError as error:
        raise cannot_write(path, error) from error
