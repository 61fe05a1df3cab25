"""`svc-trace explain`: what one test uses and why, in words."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import Path
from typing import Final

import click

from tracer.commands.inputs import read_source, with_verdicts
from tracer.commands.options import INPUT, config_option, verified_option
from tracer.errors import ExitStatus, SvcTraceError
from tracer.reports.formats.terminal import ReportConsole, print_page
from tracer.reports.pages.explain import page
from tracer.reports.text import printable

_NEAREST: Final = 5


@click.command("explain")
@click.argument("source", metavar="REPORT", type=INPUT)
@click.argument("nodeid", metavar="NODEID")
@config_option
@verified_option
def command(source: Path, nodeid: str, config: Path | None, verified: tuple[str, ...]) -> int:
    """Explain what the test NODEID uses and why, with all evidence, and what the rules assume of it.

    REPORT is a JSON report or a trace, plain or gzip.
    """
    classification = read_source(source, config).classification
    if nodeid not in classification.tests:
        near = ", ".join(_nearest(nodeid, classification.tests))
        raise SvcTraceError(
            printable(f"{source} has no test {nodeid}"),
            hint=printable(f"Give a node id as pytest prints it{f', such as {near}' if near else ''}."),
            slug="unknown-test",
            exit_code=ExitStatus.USAGE,
        )
    print_page(page(with_verdicts(classification, verified), nodeid), ReportConsole())
    return 0


def _nearest(nodeid: str, known: Iterable[str]) -> list[str]:
    """Some node ids that contain this text; without any, some that are like it, those with a similar name first."""
    containing = [one for one in known if nodeid in one]
    if containing:
        return sorted(containing, key=lambda one: (len(one), one))[:_NEAREST]
    by_name: dict[str, list[str]] = {}
    for one in known:
        by_name.setdefault(_name(one), []).append(one)
    likely = [one for name in get_close_matches(_name(nodeid), by_name, n=_NEAREST) for one in by_name[name]]
    return get_close_matches(nodeid, likely, n=_NEAREST, cutoff=0)


def _name(nodeid: str) -> str:
    """The test's own name, without file, class and parameters."""
    return nodeid.partition("[")[0].rpartition("::")[2]
