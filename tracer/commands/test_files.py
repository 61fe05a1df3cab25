"""The suite's files in the working directory, if it is pytest's rootdir."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tracer.classify.model import Classification


def files_here(*reports: Classification) -> Callable[[str], bool]:
    """Whether a file exists, by its path from pytest's rootdir.

    Always true if the working directory is not that of the suite: it has no file of these reports.
    """
    files = {nodeid.partition("::")[0] for report in reports for nodeid in report.tests}
    here = Path.cwd()
    if not any((here / file).exists() for file in sorted(files)):
        return lambda _: True
    return lambda file: (here / file).exists()
