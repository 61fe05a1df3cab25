"""Durations of tests from elsewhere: the file `.test_durations` of pytest-split."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

from msgspec import Meta

from tracer.errors import SvcTraceError
from tracer.trace.input_file import open_input
from tracer.trace.json_codec import load

_Seconds = Annotated[float, Meta(ge=0, le=1e9)]
_Durations = dict[str, _Seconds] | list[tuple[str, _Seconds]]
"""Node id → seconds. Before version 0.7, pytest-split wrote pairs."""


def read_durations(path: Path) -> Mapping[str, float]:
    """Read a file of durations: node id → seconds.

    Raises:
        SvcTraceError: it is none.
    """
    try:
        with open_input(path) as file:
            found = load(file.read(), _Durations)
    except (ValueError, EOFError) as error:
        raise SvcTraceError(
            f"cannot read {path} as durations: {error}",
            hint="Name a file that `pytest --store-durations` of pytest-split wrote: node ids and seconds, as JSON.",
            slug="bad-durations",
        ) from error
    return dict(found)
