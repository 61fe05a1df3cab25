"""The trace of a run whose report could not be made."""

from __future__ import annotations

import os
import shlex
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tracer.trace.storage import partial_path


@contextmanager
def kept_on_error(trace: int, directory: Path, named: Path | None, report: Path) -> Iterator[None]:
    """If the block raises, keep the trace, and add a note to the error that says where it is.

    Args:
        trace: a descriptor of the trace. The file may have lost its name.
        directory: the run's, which will be removed. The trace is kept beside it, or else beside the report.
        named: where the user wants to have the trace.
        report: where the report was to be written.
    """
    try:
        yield
    except BaseException as error:
        if os.fstat(trace).st_size:
            error.add_note(_keep(trace, directory, named, report))
        raise


def _keep(trace: int, directory: Path, named: Path | None, report: Path) -> str:
    path = _place(trace, named)
    name = f"{directory.name}.svctrace"
    for place in (directory.with_name(name), report.absolute().with_name(name)):
        if path is not None:
            break
        try:
            _link_or_copy(trace, place)
            path = place
        except OSError as error:
            reason = error.strerror
    if path is None:
        return f"The trace could not be kept: {reason}"
    return f"The trace is kept. Make the report from it: svc-trace report {shlex.quote(str(path))} -o PATH"


def _place(trace: int, named: Path | None) -> Path | None:
    """Where the user will find the trace already; None: nowhere."""
    for path in (named, partial_path(named)) if named is not None else ():
        with suppress(OSError):
            if os.path.samestat(path.lstat(), os.fstat(trace)):
                return path.absolute()
    return None


def _link_or_copy(trace: int, path: Path) -> None:
    """Give the file another name, which needs no space; or copy it, if it has no name left or is on another disk."""
    opened = f"/proc/self/fd/{trace}"
    try:
        os.fchmod(trace, 0o600)  # the run's directory protected it
        os.link(opened, path, src_dir_fd=trace, follow_symlinks=True)  # without src_dir_fd, it does not follow
    except OSError:
        copy = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            with open(opened, "rb") as source, open(copy, "wb") as target:  # noqa: PTH123 -- a descriptor
                shutil.copyfileobj(source, target)
        except OSError:
            path.unlink()
            raise
