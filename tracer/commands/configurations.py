"""The configuration of a command: the file given, that of the working directory, or that of pytest's rootdir."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from tracer.classify.services.config import Config, Searched, load_config, searched_directories

if TYPE_CHECKING:
    from tracer.trace.records import Trace


class Found(NamedTuple):
    """A configuration, and where it was searched."""

    config: Config
    searched: Searched


def find_configuration(path: Path | None) -> Found:
    """The configuration given by `--config`, or the nearest one of the working directory.

    Raises:
        SvcTraceError: it cannot be used.
    """
    config = load_config(path, Path.cwd())
    return Found(config, Searched(config.source, () if path is not None else searched_directories(Path.cwd())))


def with_rootdirs(found: Found, trace: Trace) -> Found:
    """The same if it has a file; otherwise the nearest one of pytest's rootdir, as the trace has it.

    If sessions had different rootdirs, and these have different files, none is used.

    Raises:
        SvcTraceError: the file cannot be used.
    """
    if found.config.source is not None or not found.searched.directories:
        return found
    rootdirs = [Path(rootdir) for rootdir in trace.rootdirs if Path(rootdir).is_absolute()]
    nearest = {one.source: one for rootdir in rootdirs if (one := load_config(None, rootdir)).source is not None}
    directories = (*found.searched.directories, *(one for root in rootdirs for one in searched_directories(root)))
    config = next(iter(nearest.values())) if len(nearest) == 1 else found.config
    return Found(config, Searched(config.source, tuple(dict.fromkeys(directories))))
