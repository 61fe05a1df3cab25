"""A plan as shell commands that start each shard's services with Docker Compose: line N is that of shard N."""

from __future__ import annotations

from shlex import join
from typing import Final, TextIO

from tracer.reports.formats.format import Document, Format
from tracer.reports.shard_files import ShardsDocument, startable

_UP: Final = ("docker", "compose", "up", "--detach", "--wait")


def print_document(document: Document, file: TextIO) -> None:
    """Write the commands. Without names, `up` would start everything, so a shard without services gets `true`."""
    assert isinstance(document, ShardsDocument)
    for shard in document.shards():
        services = startable(shard)
        file.buffer.write((f"{join((*_UP, *services))}\n" if services else "true\n").encode())


FORMAT: Final = Format("compose", "a `docker compose up` for each shard", print_document, document=ShardsDocument)
