"""Where reports go: a file is written beside its place and renamed into it, so that nobody finds half of one."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from tracer.trace.storage import cannot_write, partial_path


def write_file(path: Path, parts: Iterable[bytes]) -> None:
    """Put a whole file in its place. A symbolic link stays one; what is no regular file (`/dev/stdout`) is written to.

    Raises:
        SvcTraceError: it cannot be written; a file that stood there is untouched then, and no partial one is left.
    """
    try:
        if path.exists() and not path.is_file():
            _write(path, parts)
            return
        target = path.resolve()
        partial = partial_path(target)
        try:
            _write(partial, parts)
            partial.replace(target)
        except BaseException:  # also of what makes the parts
            partial.unlink(missing_ok=True)
            raise
    except OSError as error:
        raise cannot_write(path, error) from error


def _write(path: Path, parts: Iterable[bytes]) -> None:
    with path.open("wb", buffering=1 << 18) as file:
        file.writelines(parts)
