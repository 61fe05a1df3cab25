"""A plan as the matrix of a GitHub job, on one line: for `fromJSON`, through a job's output.

https://docs.github.com/actions/using-jobs/using-a-matrix-for-your-jobs
"""

from __future__ import annotations

from typing import Final, TextIO

from tracer.reports.formats.format import Document, Format
from tracer.reports.shard_files import ShardsDocument, file_name, startable
from tracer.trace.json_codec import dump


def print_document(document: Document, file: TextIO) -> None:
    """Write the matrix: for each shard its number, its services with blanks between, and its file."""
    assert isinstance(document, ShardsDocument)
    shards = enumerate(document.shards(), 1)
    jobs = [{"shard": n, "services": " ".join(startable(one)), "file": file_name(n)} for n, one in shards]
    file.buffer.write(dump({"include": jobs}))


FORMAT: Final = Format("github", "a matrix for GitHub Actions", print_document, document=ShardsDocument)
