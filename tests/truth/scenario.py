"""A scenario: a small suite, and the classification that is true of it.

`scenario.toml` stands beside the suite, or names another scenario's. README.md of this folder explains its keys.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Final

from environments import MINORS, OLDEST

from tracer.classify.model import Evidence
from tracer.classify.services.document import Value, did_you_mean, read_document
from truth.glob import matches

SERVERS: Final = ("kafka", "postgres", "redis", "search")
"""Real servers that a scenario may need."""
ALONE: Final = ("grpc", "postgres_tls")
"""Real servers of which a scenario needs one and no other: a gRPC server, a PostgreSQL that speaks TLS."""
CAPABILITIES: Final = ("io_uring",)
"""What the machine or the backend may lack."""

_KEYS: Final = (
    *("says", "suite", "needs", "python", "requires", "oldest", "arguments", "command", "exit_status", "complete"),
    *("warnings", "only_traced", "run_evidence", "tiers", "variants", "violations", "tests"),
)
_TEST_KEYS: Final = ("outcome", "attempts", "count", "assumed", "services", "evidence")
_FACTS: Final = (*(field.name for field in fields(Evidence)), "transport", "optional")
_DEFAULTS: Final[Mapping[str, object]] = {
    "how": "direct",
    "via": None,
    "phase": "call",
    "self_hosted": False,
    "ambiguous": False,
}

Claim = Mapping[str, object]
"""What an expected evidence says: field of the report's evidence → value; text may hold `*`.

`optional`: whether it may be missing.
"""


@dataclass(frozen=True, slots=True)
class Test:
    """What is true of a test, or of all the tests that a pattern stands for."""

    outcome: str
    attempts: int
    count: int | None  # how many tests the name stands for, as a pattern; None: it is a node id
    assumed: tuple[str, ...]  # sorted
    services: tuple[str, ...] | None  # sorted; compared instead of the evidence. None: not compared
    evidence: tuple[Claim, ...]

    def named(self, name: str, nodeid: str) -> bool:
        """Whether this, under its name in the scenario, is about a test."""
        return name == nodeid if self.count is None else matches(name, nodeid)


@dataclass(frozen=True, slots=True)
class Scenario:
    """A suite and what is true of it."""

    folder: Path
    says: str  # one sentence: what the scenario shows
    suite: Path  # the folder of the suite: this one or another scenario's
    needs: tuple[str, ...]  # of SERVERS or ALONE, and CAPABILITIES
    python: int | None  # oldest minor version of Python for the suite; the first that is there. None: this Python's own
    requires: tuple[str, ...]  # of packages; if there are any the suite has an environment with only these
    oldest: bool  # whether it is also run on the oldest supported Python and pytest
    arguments: tuple[str, ...]  # pytest's
    command: tuple[str, ...]  # `{pytest}` stands for pytest with its arguments
    exit_statuses: tuple[int, ...]  # any of them is right
    complete: bool
    warnings: tuple[str, ...]  # slugs, sorted
    only_traced: str | None  # why it isn't compared with a bare run
    run_evidence: tuple[Claim, ...]
    tiers: Mapping[str, int] | None  # tier → tests. None: not compared
    variants: tuple[str, ...]  # what the variants of a test share, where they differ; sorted
    violations: Mapping[str, tuple[str, ...]]  # a broken contract's name → node ids, sorted
    tests: Mapping[str, Test]  # node id or pattern → what is true of it


def load(folder: Path) -> Scenario:
    """Read a scenario.

    Raises:
        SvcTraceError: its scenario.toml can't be read or holds what it must not; names file and key.
    """
    path = folder / "scenario.toml"
    table = read_document(path, str(path)).table(_KEYS)
    return Scenario(
        folder=folder,
        says=table["says"].text(),
        suite=_suite(table["suite"], folder),
        needs=tuple(_needs(table["needs"])),
        python=_minor(table["python"]),
        requires=table["requires"].texts(),
        oldest=table["oldest"].flag(),
        arguments=table["arguments"].texts(),
        command=table["command"].texts() or ("{pytest}",),
        exit_statuses=_numbers(table["exit_status"]) or (0,),
        complete=table["complete"].data is None or table["complete"].flag(),
        warnings=tuple(sorted(table["warnings"].texts())),
        only_traced=table["only_traced"].text() if table["only_traced"].data is not None else None,
        run_evidence=_claims(table["run_evidence"], {**_DEFAULTS, "phase": None}),
        tiers=None if table["tiers"].data is None else {name: _number(one) for name, one in table["tiers"].members()},
        variants=tuple(sorted(table["variants"].texts())),
        violations={name: tuple(sorted(nodeids.texts())) for name, nodeids in table["violations"].members()},
        tests={name: _test(value) for name, value in table["tests"].members()},
    )


def on_oldest(scenario: Scenario) -> Scenario:
    """The same scenario on the oldest supported Python and pytest."""
    return replace(scenario, python=MINORS[0], requires=OLDEST)


def _suite(value: Value, folder: Path) -> Path:
    if value.data is None:
        return folder
    suite = folder.parent.parent / value.text()
    if not (suite / "scenario.toml").exists():
        raise value.error(f"there is no scenario {value.text()!r}", 'name another one as "group/name"')
    return suite


def _needs(value: Value) -> Iterator[str]:
    known = (*SERVERS, *ALONE, *CAPABILITIES)
    for item in value.items():
        if item.text() not in known:
            raise item.error(f"{item.text()!r} is nothing that can be needed", did_you_mean(item.text(), known))
        yield item.text()


def _minor(value: Value) -> int | None:
    if value.data is None:
        return None
    major, _, minor = value.text().partition(".")
    if major != "3" or not minor.isdecimal():
        raise value.error("is no version of Python", 'give it as "3.N"')
    return int(minor)


def _test(value: Value) -> Test:
    table = value.table(_TEST_KEYS)
    return Test(
        outcome=table["outcome"].text() if table["outcome"].data is not None else "passed",
        attempts=1 if table["attempts"].data is None else _number(table["attempts"]),
        count=None if table["count"].data is None else _number(table["count"]),
        assumed=tuple(sorted(table["assumed"].texts())),
        services=None if table["services"].data is None else tuple(sorted(table["services"].texts())),
        evidence=_claims(table["evidence"], _DEFAULTS),
    )


def _claims(value: Value, defaults: Mapping[str, object]) -> tuple[Claim, ...]:
    return tuple({**defaults, **dict(_claim(item))} for item in value.items())


def _claim(value: Value) -> Iterator[tuple[str, object]]:
    """TOML has no null: an empty string stands for it."""
    table = value.table(_FACTS)
    table["service"].text()
    for name, fact in table.members():
        if type(fact.data) not in (str, int, bool):
            raise fact.error("is no fact of an evidence", "give it as a string, an integer or a boolean")
        yield name, None if fact.data == "" else fact.data


def _numbers(value: Value) -> tuple[int, ...]:
    if isinstance(value.data, list):
        return tuple(_number(item) for item in value.items())
    return () if value.data is None else (_number(value),)


def _number(value: Value) -> int:
    if type(value.data) is not int:
        raise value.error("is no integer", "give it as an integer")
    number: int = value.data
    return number
