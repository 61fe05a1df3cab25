"""Where reports go: a file is written beside its place and renamed into it, so that nobody finds half of one."""

from __future__ import annotations

from pathlib import Path

from tracer.trace.storage import cannot_write, partial_path


def write_file(path: Path, data: bytes) -> None:
    """Put a whole file in its place. A symbolic link stays one; what is no regular file (`/dev/stdout`) is written to.

    Raises:
        SvcTraceError: it cannot be written; a file that stood there is untouched then, and no partial one is left.
    """
    try:
        if path.exists() and not path.is_file():
            path.write_bytes(data)
            return
        target = path.resolve()
        partial = partial_path(target)
        try:
            partial.write_bytes(data)
            partial.replace(target)
        except OSError:
            partial.unlink(missing_ok=True)
            raise
    except OSError as error:
        raise cannot_write(path, error) from error
