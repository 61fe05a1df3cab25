"""Where `svc-trace init` writes: a table at the end of a file, or a new file. It replaces nothing."""

from __future__ import annotations

import os
import stat
import tomllib
from collections.abc import Sequence
from pathlib import Path

from tracer.classify.services.document import SIZE_LIMIT
from tracer.reports.output import write_file
from tracer.trace.destination import create, destination, put_in_place
from tracer.trace.input_file import opened
from tracer.trace.storage import cannot_write


def fits(path: Path, lines: Sequence[str]) -> bool:
    """Whether a file with these lines at its end is TOML that means what both mean."""
    try:
        with opened(path, SIZE_LIMIT) as file:
            before = file.read().decode()
        own = tomllib.loads("\n".join(lines))["tool"]["svc-trace"]
        tool = tomllib.loads(before).get("tool", {})
        return bool(tomllib.loads(_added(before, lines))["tool"] == {**tool, "svc-trace": own})
    except ValueError:  # such as a table `tool` in one line, which cannot be extended
        return False


def _added(before: str, lines: Sequence[str]) -> str:
    """A text with lines at its end, after an empty one; with its own kind of line breaks."""
    end = "\r\n" if "\r\n" in before else "\n"
    gap = "" if not before else end if before.endswith("\n") else 2 * end
    return before + gap + "".join(f"{line}{end}" for line in lines)


def append(path: Path, lines: Sequence[str]) -> None:
    """Add lines to the end of a file: written beside it and renamed. Its bytes, owner, group and mode are kept.

    Raises:
        SvcTraceError: it cannot be written. It is unchanged then.
    """
    try:
        target = destination(path)
        with target.open("rb") as file:
            status, before = os.fstat(file.fileno()), file.read()
        text = _added(before.decode(), lines).encode()
        partial = target.with_name(f".svc-trace-{os.urandom(8).hex()}.partial")
        with create(partial, 0o600) as new:
            try:
                _take_attributes(new.fileno(), status)
                new.write(text)
                new.flush()
                if target.stat().st_mtime_ns != status.st_mtime_ns:
                    raise OSError(None, "another program has just changed it")
                put_in_place(os.fstat(new.fileno()), partial, target)
            except BaseException:
                partial.unlink(missing_ok=True)
                raise
    except OSError as error:
        raise cannot_write(path, error) from error


def _take_attributes(descriptor: int, status: os.stat_result) -> None:
    own = os.fstat(descriptor)
    try:
        if (own.st_uid, own.st_gid) != (status.st_uid, status.st_gid):
            os.fchown(descriptor, status.st_uid, status.st_gid)
    except PermissionError:
        raise OSError(None, "it belongs to another user or group, which would be lost") from None
    os.fchmod(descriptor, stat.S_IMODE(status.st_mode))


def create_file(path: Path, lines: Sequence[str]) -> None:
    """Write a new file.

    Raises:
        SvcTraceError: something is there already, or it cannot be written.
    """
    if os.path.lexists(path):
        raise cannot_write(path, OSError(None, "something is there already"))
    write_file(path, (f"{line}\n".encode() for line in lines))
