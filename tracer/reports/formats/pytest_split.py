"""The durations of a plan's tests as pytest-split stores them in `.test_durations`: node id → seconds.

https://github.com/jerry-git/pytest-split
"""

from __future__ import annotations

import json
from typing import Final, TextIO

from tracer.reports.formats.format import Document, Format
from tracer.reports.shard_files import ShardsDocument


def print_document(document: Document, file: TextIO) -> None:
    """Write the file as pytest-split does, sorted and indented."""
    assert isinstance(document, ShardsDocument)
    file.buffer.write(json.dumps(dict(document.seconds()), sort_keys=True, indent=4).encode("ascii") + b"\n")


FORMAT: Final = Format("pytest-split", "durations, for pytest-split", print_document, document=ShardsDocument)
