"""A scenario: a small pytest suite and its true classification.

`scenario.toml` is in the directory of its suite, or names another scenario whose suite it uses. README.md explains the
keys.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from environments import MINORS, OLDEST

from tracer.classify.model import Evidence
from tracer.classify.services.document import Text, Value, did_you_mean, read_document
from truth.glob import first_part, matches

SERVERS: Final = ("kafka", "postgres", "redis", "search")
"""Real servers that a scenario may need."""
ALONE: Final = ("grpc", "many", "postgres_tls")
"""What a scenario needs without naming any other: a gRPC server; all servers but the last; a PostgreSQL with TLS."""
CAPABILITIES: Final = ("io_uring", "answers", "unix_programs")
"""Features that the machine or the backend may lack."""

_KEYS: Final = (
    *("says", "suite", "needs", "python", "requires", "oldest", "arguments", "command", "exit_status", "complete"),
    "missing_tests",
    *("warnings", "only_traced", "uncounted", "run_evidence", "tiers", "variants", "violations", "tests"),
    *("without", "trial_options"),
)
_TEST_KEYS: Final = ("outcome", "attempts", "count", "assumed", "services", "evidence")
_VERDICT_KEYS: Final = ("verdict", "through", "reason", "tried", "outcome", "outcome_without", "refused")
_NUMBER_KEYS: Final = ("times", "optional", "any_number", "causes")
"""Keys of an expected evidence that are no facts: how many such entries the report has."""
_EVIDENCE_KEYS: Final = (*Evidence.__struct_fields__, "transport", *_NUMBER_KEYS)
_DEFAULTS: Final[Mapping[str, object]] = {
    "how": "direct",
    "via": None,
    "phase": "call",
    "self_hosted": False,
    "ambiguous": False,
}


@dataclass(frozen=True, slots=True)
class ExpectedEvidence:
    """What a scenario expects of evidence entries in the report: by default of exactly one."""

    facts: Mapping[str, object]  # field of the report's evidence → value. `*` in a text stands for any text
    times: int  # how many entries in the report have these facts
    optional: bool  # there may be fewer, or none
    any_number: bool  # there may be more
    causes: (
        bool | None
    )  # expected only where it is known (True) or unknown (False) which thread woke which; None: always


@dataclass(frozen=True, slots=True)
class Test:
    """The truth about a test, or about all tests that match a pattern."""

    outcome: str
    attempts: int
    count: int | None  # how many tests match the name, a pattern; None: the name is a node id
    assumed: tuple[str, ...]  # sorted
    services: tuple[str, ...] | None  # sorted; compared instead of the evidence. None: the evidence is compared
    evidence: tuple[ExpectedEvidence, ...]

    def named(self, name: str, nodeid: str) -> bool:
        """Whether this entry, which has that name in the scenario, describes a test."""
        return name == nodeid if self.count is None else matches(name, nodeid)

    def about(self, name: str, nodeid: str) -> Test:
        """The truth about one of these tests: `$1` in a fact is what the first `*` of the name stands for."""
        if self.count is None:
            return self
        part = first_part(name, nodeid)
        return replace(
            self, evidence=tuple(replace(entry, facts=_filled(entry.facts, part)) for entry in self.evidence)
        )


@dataclass(frozen=True, slots=True)
class ExpectedVerdict:
    """The truth about a test of a trial."""

    verdict: str
    through: str | None
    reason: str | None
    tried: tuple[str, ...]  # sorted
    outcome: str | None  # with the services. None: no such run has the test
    outcome_without: str | None
    refused: int | None  # None: clients differ in how often they try


@dataclass(frozen=True, slots=True)
class Scenario:
    """A suite and the truth about it."""

    directory: Path
    says: str  # one sentence: what the scenario shows
    suite: Path  # the directory of the suite: this scenario's or another one's
    needs: tuple[str, ...]  # names from SERVERS, or one from ALONE; and from CAPABILITIES
    python: (
        int | None
    )  # oldest minor version of Python for the suite; the first installed one is used. None: the tests' own
    requires: tuple[str, ...]  # packages; if there are any, the suite runs in an environment with only these
    oldest: bool  # whether the suite also runs on the oldest supported Python and pytest
    arguments: tuple[str, ...]  # of pytest
    command: tuple[str, ...]  # `{pytest}` stands for pytest with its arguments
    exit_statuses: tuple[int, ...]  # the accepted ones
    complete: bool
    missing_tests: int | None  # None: an unknown number
    warnings: tuple[str, ...]  # slugs, sorted
    only_traced: str | None  # the reason why the run is not compared with a bare run
    uncounted: str | None  # the reason why the trace is not compared with what the peers counted
    run_evidence: tuple[ExpectedEvidence, ...]
    tiers: Mapping[str, int] | None  # tier → tests. None: not compared
    variants: tuple[str, ...]  # node ids without parameters of tests whose variants use different services; sorted
    violations: Mapping[str, tuple[str, ...]]  # a broken contract's name → node ids, sorted
    tests: Mapping[str, Test]  # node id or pattern → truth
    without: tuple[str, ...]  # the services that a trial refuses; empty: the scenario is a run
    trial_options: tuple[str, ...]  # of `svc-trace verify`
    verdicts: Mapping[str, ExpectedVerdict]  # of a trial: node id → truth


def load(directory: Path) -> Scenario:
    """Read a scenario.

    Raises:
        SvcTraceError: scenario.toml cannot be read or is invalid; the message names the file and the key.
    """
    path = directory / "scenario.toml"
    table = read_document(path, str(path)).table(_KEYS)
    without = _texts(table["without"])
    tests = table["tests"].members()
    return Scenario(
        directory=directory,
        says=table["says"].read(Text),
        suite=_suite(table["suite"], directory),
        needs=tuple(_needs(table["needs"])),
        python=_minor(table["python"]),
        requires=_texts(table["requires"]),
        oldest=table["oldest"].read(bool, default=False),
        arguments=_texts(table["arguments"]),
        command=_texts(table["command"]) or ("{pytest}",),
        exit_statuses=_numbers(table["exit_status"]),
        complete=table["complete"].read(bool, default=True),
        missing_tests=None if table["missing_tests"].data == "" else table["missing_tests"].read(int, default=0),
        warnings=tuple(sorted(_texts(table["warnings"]))),
        only_traced=table["only_traced"].read(Text | None),
        uncounted=table["uncounted"].read(Text | None),
        run_evidence=_expected_evidence(table["run_evidence"], {**_DEFAULTS, "phase": None}),
        tiers=table["tiers"].read(dict[str, int] | None),
        variants=tuple(sorted(_texts(table["variants"]))),
        violations={name: tuple(sorted(_texts(nodeids))) for name, nodeids in table["violations"].members().items()},
        tests={} if without else {name: _test(value) for name, value in tests.items()},
        without=without,
        trial_options=_texts(table["trial_options"]),
        verdicts={name: _verdict(value, without) for name, value in tests.items()} if without else {},
    )


def with_causes(scenario: Scenario, known: bool) -> Scenario:
    """The scenario of backends that observe which thread wakes which, or of the others."""

    def expected(evidence: tuple[ExpectedEvidence, ...]) -> tuple[ExpectedEvidence, ...]:
        return tuple(entry for entry in evidence if entry.causes in (None, known))

    tests = {name: replace(test, evidence=expected(test.evidence)) for name, test in scenario.tests.items()}
    return replace(scenario, run_evidence=expected(scenario.run_evidence), tests=tests)


def on_oldest(scenario: Scenario) -> Scenario:
    """The same scenario on the oldest supported Python and pytest."""
    return replace(scenario, python=MINORS[0], requires=OLDEST)


def _filled(facts: Mapping[str, object], part: str) -> Mapping[str, object]:
    return {name: fact.replace("$1", part) if isinstance(fact, str) else fact for name, fact in facts.items()}


def _suite(value: Value, directory: Path) -> Path:
    if value.data is None:
        return directory
    suite: Path = directory.parent.parent / value.read(Text)
    if not (suite / "scenario.toml").exists():
        raise value.error(f"there is no scenario {value.read(Text)!r}", 'Write it as "group/name".')
    return suite


def _needs(value: Value) -> Iterator[str]:
    known = (*SERVERS, *ALONE, *CAPABILITIES)
    for item in value.items():
        if item.read(Text) not in known:
            raise item.error(f"{item.read(Text)!r} is unknown", did_you_mean(item.read(Text), known))
        yield item.read(Text)


def _minor(value: Value) -> int | None:
    if value.data is None:
        return None
    major, _, minor = value.read(Text).partition(".")
    if major != "3" or not minor.isdecimal():
        raise value.error("is no version of Python", 'Write it as "3.N".')
    return int(minor)


def _test(value: Value) -> Test:
    table = value.table(_TEST_KEYS)
    return Test(
        outcome=table["outcome"].read(Text, default="passed"),
        attempts=table["attempts"].read(int, default=1),
        count=table["count"].read(int | None),
        assumed=tuple(sorted(_texts(table["assumed"]))),
        services=None if table["services"].data is None else tuple(sorted(_texts(table["services"]))),
        evidence=_expected_evidence(table["evidence"], _DEFAULTS),
    )


def _verdict(value: Value, without: tuple[str, ...]) -> ExpectedVerdict:
    table = value.table(_VERDICT_KEYS)
    verdict = table["verdict"].read(Text)
    passes = verdict in ("tolerates", "unaffected")
    tries = verdict in ("needs", "tolerates")
    return ExpectedVerdict(
        verdict=verdict,
        through=table["through"].read(Text | None),
        reason=table["reason"].read(Text | None),
        tried=tuple(sorted(without if tries and table["tried"].data is None else _texts(table["tried"]))),
        outcome=_outcome(table["outcome"], "passed"),
        outcome_without=_outcome(table["outcome_without"], "passed" if passes else "failed"),
        refused=table["refused"].read(int | None),
    )


def _outcome(value: Value, default: str) -> str | None:
    return None if value.data == "" else value.read(Text, default=default)


def _expected_evidence(value: Value, defaults: Mapping[str, object]) -> tuple[ExpectedEvidence, ...]:
    return tuple(_expected_entry(item, defaults) for item in value.items())


def _expected_entry(value: Value, defaults: Mapping[str, object]) -> ExpectedEvidence:
    table = value.table(_EVIDENCE_KEYS)
    table["service"].read(Text)
    times = table["times"].read(int, default=1)
    if times < 1:
        raise table["times"].error("is less than 1", "Write the number of such entries in the report.")
    return ExpectedEvidence(
        facts={**defaults, **dict(_facts(table))},
        times=times,
        optional=table["optional"].read(bool, default=False),
        any_number=table["any_number"].read(bool, default=False),
        causes=table["causes"].read(bool | None),
    )


def _facts(table: Value) -> Iterator[tuple[str, object]]:
    """Field → value. TOML has no null: an empty string stands for it."""
    for name, fact in table.members().items():
        if name in ("operations", "needed_below"):
            yield name, _texts(fact)
            continue
        if type(fact.data) not in (str, int, bool):
            raise fact.error("is no fact of an evidence", "Write a string, an integer or a boolean.")
        if name not in _NUMBER_KEYS:
            yield name, None if fact.data == "" else fact.data


def _numbers(value: Value) -> tuple[int, ...]:
    if isinstance(value.data, list):
        return tuple(item.read(int) for item in value.items())
    return (value.read(int, default=0),)


def _texts(value: Value) -> tuple[str, ...]:
    return tuple(item.read(Text) for item in value.items())
