"""What tests tried of the services that were refused to their run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Final

from tracer.classify.model import Classification, RefusedUse
from tracer.reports.blocks import Block, Line, Notice, Styled, Table
from tracer.reports.text import counted, joined
from tracer.reports.verdict_text import named, through_words

_LISTED: Final = 3
"""How many fixtures or modules of one service are listed; the JSON has all."""


def refused_blocks(classification: Classification) -> Iterator[Block]:
    """The refused services that tests tried to use; nothing if the run was refused nothing."""
    refused = [one.service for one in classification.run.refused]
    if not refused:
        return
    tried = {service: use for service, use in classification.refused.items() if use.tests or use.outside}
    if not tried:
        yield Line(f"Refused: {_some(refused)}. No test tried to use {'it' if len(refused) == 1 else 'one'}.")
    else:
        rows = tuple(
            (
                Styled(named(service), "strong bad"),
                f"{len(use.tests):,}",
                f"{use.attempts + use.outside:,}",
                _parts(use),
            )
            for service, use in tried.items()
        )
        yield Table(("Refused", "Tests", "Attempts", "Through"), rows, "lrrl")
    for service, use in classification.refused.items():
        if use.reached:
            yield Notice(
                f"{named(service)} was reached although it was refused: {_tests(use.reached)}",
                "Its place was unknown before the run. Add its port to its rule, or give a report of it: --against.",
            )


def refused_sentence(uses: Mapping[str, RefusedUse]) -> str | None:
    """One line about all that was tried: `2 tests tried refused services: kafka (2), redis (1)`; None: nothing was."""
    tests = {nodeid for use in uses.values() for nodeid in use.tests}
    tried = {service: use for service, use in uses.items() if use.tests or use.outside}
    if not tried:
        return None
    services = ", ".join(
        f"{named(service)} ({len(use.tests):,})" if use.tests else f"{named(service)} (outside of tests)"
        for service, use in tried.items()
    )
    what = "a refused service" if len(tried) == 1 else "refused services"
    return f"{counted(len(tests), 'test') if tests else 'no test'} tried to use {what}: {services}"


def _some(services: list[str]) -> str:
    return joined(map(named, services), "and") if len(services) <= _LISTED else counted(len(services), "service")


def _tests(nodeids: tuple[str, ...]) -> str:
    return nodeids[0] if len(nodeids) == 1 else f"{len(nodeids):,} tests, such as {nodeids[0]}"


def _parts(use: RefusedUse) -> str:
    """`3 themselves, 1 through fixture db (defined in tests/conftest.py)`."""
    parts = [
        f"{tests:,} {'itself' if tests == 1 else 'themselves'}"
        if what == "itself"
        else f"{tests:,} through {through_words(what)}"
        for what, tests in islice(use.through.items(), _LISTED)
    ]
    if others := sum(islice(use.through.values(), _LISTED, None)):
        parts.append(f"{others:,} through others")
    if use.outside:
        parts.append(f"{counted(use.outside, 'attempt')} outside of tests")
    return ", ".join(parts)
