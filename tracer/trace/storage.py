"""The files that a user names for output, and the errors if they cannot be written."""

from __future__ import annotations

import shlex
from pathlib import Path

from tracer.errors import ExitStatus, SvcTraceError


def partial_path(path: Path) -> Path:
    """The path of a file until it is complete and renamed: `PATH.partial`."""
    return path.with_name(f"{path.name}.partial")


def cannot_write(path: Path, error: OSError) -> SvcTraceError:
    """The error for a file that cannot be created, written or renamed into place."""
    hint = "Choose another path, or check the free space and whether the command's user may write to the directory."
    if isinstance(error, FileNotFoundError) and not path.parent.exists():
        hint = f"Create the directory first: mkdir -p {shlex.quote(str(path.parent))}"
    return SvcTraceError(
        f"cannot write {path}: {error.strerror or error}",
        hint=hint,
        slug="cannot-write",
        exit_code=ExitStatus.CANNOT_WRITE,
    )
