"""A plan as GitLab's `parallel: matrix`, in a hidden job that others extend.

https://docs.gitlab.com/ci/yaml/#parallelmatrix
"""

from __future__ import annotations

from typing import Final, TextIO

from tracer.reports.formats.format import Document, Format
from tracer.reports.json_document import line
from tracer.reports.shard_files import ShardsDocument, file_name, startable

JOB: Final = ".svc-trace-plan"


def print_document(document: Document, file: TextIO) -> None:
    """Write YAML; its strings are JSON's, which YAML includes."""
    assert isinstance(document, ShardsDocument)
    lines = [f"{JOB}:\n  parallel:\n    matrix:\n".encode()]
    for number, shard in enumerate(document.shards(), 1):
        variables = {"SHARD": str(number), "SERVICES": " ".join(startable(shard)), "SHARD_FILE": file_name(number)}
        for position, (name, value) in enumerate(variables.items()):
            lines.append(b"      %b %b: %b\n" % (b" " if position else b"-", name.encode(), line(value)))
    file.buffer.writelines(lines)


FORMAT: Final = Format("gitlab", "`parallel: matrix` for GitLab", print_document, document=ShardsDocument)
