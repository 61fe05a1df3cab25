"""What `svc-trace init` found and wrote, and what to do next."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tracer.classify.first_rules import ComposeService, Found
from tracer.classify.service_words import CLIENTS
from tracer.errors import counted
from tracer.reports.blocks import Block, Code, Heading, Headline, Line, Notice, Table


def page(
    found: Found, problem: str, errors: int, written: Sequence[str], place: str, commands: Sequence[str]
) -> Iterator[Block]:
    """The page.

    Args:
        found: what was found.
        problem: why the tests could not be collected; empty: they were.
        errors: how many files could not be collected.
        written: the lines of the configuration.
        place: where they were written, or that they were not.
        commands: what to type next.
    """
    yield Headline(place)
    if problem:
        yield Notice(
            f"the tests are not known: {problem}",
            "Run `pytest --collect-only` yourself. The rest of this page does not need the tests.",
        )
    elif errors:
        yield Notice(
            f"{counted(errors, 'file')} could not be collected, so the tests in it are not known",
            "Perhaps its import needs a service. Start all services, and look again: `svc-trace init --print`.",
        )
    yield Heading("what was found")
    yield Table((), tuple(_rows(found, problem)), "ll")
    yield Heading("the configuration, with the reason for each part")
    yield Code(tuple(written))
    yield Heading("next")
    yield Code(tuple(commands))
    yield Line("Start the services before the first, which traces the tests. The second compares the rules with them.")


def _rows(found: Found, problem: str) -> Iterator[tuple[str, str]]:
    if not problem:
        files = len({facts.path for facts in found.tests})
        tests = sum(found.tests.values())
        yield "tests", f"{tests:,} in {counted(files, 'file')}" if tests else "none that pytest finds here"
        clients = sorted({name for name in found.modules if name in CLIENTS})
        yield "clients of services", ", ".join(f"{name} ({CLIENTS[name]})" for name in clients) or "none are imported"
    if found.databases:
        yield (
            "Django's databases",
            ", ".join(f"{engine}{f' at port {port}' if port else ''}" for engine, port in found.databases),
        )
    yield from ((one.file, _compose(one)) for one in found.compose)
    listening = (f"{program} at {port}" for program, port in found.listening)
    yield "servers on this machine", ", ".join(listening) or "none that is known, at a fixed port"


def _compose(one: ComposeService) -> str:
    ports = ", ".join(str(ports.start) if len(ports) == 1 else f"{ports.start}-{ports.stop - 1}" for ports in one.ports)
    image = f" ({one.image})" if one.image else ""
    return f"{one.name}{image}{f' at {ports}' if ports else ''}"
