"""The classification: what a report is made of. The JSON report is this, field by field."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal, NamedTuple

from tracer.classify.services.config import Rules
from tracer.trace.endpoint import Endpoint
from tracer.trace.records import RunWarning, StaticFacts

SCHEMA: Final = "svc-trace/1"
_UNKNOWN: Final = "unknown:"
"""Begins the name of a service that is an endpoint which no rule names."""
ALL_UNKNOWN: Final = "(unknown)"
"""The name of all endpoints that no rule names, where they count as one service."""

How = Literal["direct", "inherited", "ambient"]
Phase = Literal["collection", "setup", "call", "teardown"]
Strength = Literal["sent", "connected", "attempted"]
Outcome = Literal["passed", "failed", "error", "skipped", "xfailed", "xpassed", "interrupted", "crashed"]


def unknown_service(endpoint: Endpoint | None) -> str:
    """The name of a service that is an endpoint which no rule names: `unknown:<endpoint>`; None: any endpoint."""
    return f"{_UNKNOWN}{endpoint or ''}"


def is_unknown(service: str) -> bool:
    """Whether a service is an endpoint that no rule names."""
    return service.startswith(_UNKNOWN)


def unknown_endpoint(service: str) -> str:
    """The text of the endpoint that an unknown service is."""
    return service.removeprefix(_UNKNOWN)


class Via(NamedTuple):
    """What a test inherits evidence from. In a report it is its text."""

    kind: Literal["fixture", "module"]
    name: str  # of the fixture; the path of the module
    baseid: str = ""  # fixture: node id of the place that defines it; empty for plugins and the rootdir's conftest

    def __str__(self) -> str:
        """`fixture:<name>@<baseid>` or `module:<path>`."""
        return f"fixture:{self.name}@{self.baseid}" if self.kind == "fixture" else f"module:{self.name}"

    @classmethod
    def parse(cls, text: str) -> Via:
        """The value whose text this is.

        Raises:
            ValueError: the text is neither that of a fixture nor that of a module.
        """
        kind, _, rest = text.partition(":")
        if kind == "module":
            return cls("module", rest)
        if kind != "fixture":
            raise ValueError(f"neither a fixture nor a module: {text!r:.40}")
        name, _, baseid = rest.partition("@")
        return cls("fixture", name, baseid)


@dataclass(frozen=True, slots=True)
class Evidence:
    """Why a test is said to use a service: one (test, service, endpoint) with how, phase, fixture and thread."""

    service: str  # a configured name, or `unknown:<endpoint>`
    endpoint: Endpoint
    protocol: str | None  # recognised from the first bytes sent; None where they say nothing
    how: How
    via: Via | None  # only of inherited evidence
    phase: Phase | None  # None only for evidence of the run
    fixture: str | None
    thread: Literal["test", "other"]
    command: str  # the process's command name
    strength: Strength
    self_hosted: bool  # a process of the run itself listens there
    ambiguous: bool  # several tests ran in one process at once, and the sending thread belongs to none of them
    connects: int
    sends: int
    bytes: int
    errno: str | None  # the symbolic name of the first failure, such as `ECONNREFUSED`
    first_s: float | None  # seconds since the test began; inherited and run evidence: since the run began
    listener: str | None = None  # name of the process that listens there, if no rule names the endpoint

    @property
    def is_need(self) -> bool:
        """Whether by this its test needs the service: it is neither ambient nor provided by the run itself."""
        return self.how != "ambient" and not self.self_hosted


@dataclass(frozen=True, slots=True)
class RunResult:
    """What one of several runs says of a test."""

    run: int  # where the run stands in the classification's
    outcome: Outcome  # of the last attempt in this run
    duration_s: float
    attempts: int


@dataclass(frozen=True, slots=True)
class TestResult:
    """One test, all its attempts united, those of several runs too."""

    __test__ = False  # not for pytest to collect

    outcome: Outcome  # of the last attempt
    duration_s: float  # all phases of all attempts
    attempts: int
    services: tuple[str, ...]  # sorted; direct and inherited, external
    ambient: tuple[str, ...]  # sorted; services seen only as ambient
    self_hosted: tuple[str, ...]  # sorted; provided by the run itself
    assumed: tuple[str, ...]  # sorted; what the static rules claim
    facts: int | None  # where its static facts stand in the classification's; None: they were lost
    evidence: tuple[Evidence, ...]
    runs: tuple[RunResult, ...] = ()  # those it took part in, first to last; empty where the classification is of one


@dataclass(frozen=True, slots=True)
class RunInfo:
    """The run behind a classification, or all runs behind a merged one, as if they had been one."""

    command: tuple[str, ...]  # empty where those of merged runs differ
    backend: str
    kernel: str
    started_at: str  # ISO 8601, UTC, with a `Z`
    duration_s: float
    exit_status: int | None  # None: the trace was cut off
    complete: bool
    lost_events: int
    warnings: tuple[RunWarning, ...]
    pytest_reported: bool = True  # whether the hook reported from any process; of merged runs: in each of them


@dataclass(frozen=True, slots=True)
class Directory:
    """A folder of the suite with all below it."""

    tests: int
    services: Mapping[str, int]  # service → tests, most first
    tiers: Mapping[str, int]  # tier → tests, in the configuration's order; only those with tests


@dataclass(frozen=True, slots=True)
class Summary:
    """The tables."""

    total_tests: int
    services: Mapping[str, int]  # service → tests, most first
    tiers: Mapping[str, int]  # tier → tests, in the configuration's order
    directories: Mapping[str, Directory] = field(default_factory=dict)  # by path from pytest's rootdir; "." is itself


@dataclass(frozen=True, slots=True)
class AssumptionCheck:
    """One service's static rules held against what was observed. Each test is in one of the first six; ids sorted."""

    confirmed: int  # assumed and observed
    blind_spots: tuple[str, ...]  # node ids: observed, not assumed
    over_assumed: tuple[str, ...]  # node ids: assumed, not observed
    neither: int  # not assumed, not observed
    ambient_only: tuple[str, ...]  # node ids: only ambient evidence, which neither confirms nor refutes
    undecided: int  # not observed, but did not run to its end: it cannot be told
    precision: float | None  # confirmed / (confirmed + over_assumed); None where nothing was assumed
    recall: float | None  # confirmed / (confirmed + blind_spots); None where nothing was observed


@dataclass(frozen=True, slots=True)
class ContractCheck:
    """A contract held against what the tests that it is about were seen to use."""

    selector: Literal["marker", "path", "fixture"]
    value: str  # of a marker also `not NAME`
    services: Literal["none", "some"] | tuple[str, ...]
    tests: int  # that it is about
    violations: tuple[str, ...]  # node ids, sorted

    @property
    def name(self) -> str:
        """The contract in one word, such as `marker:unit=none`."""
        services = self.services if isinstance(self.services, str) else ",".join(self.services)
        return f"{self.selector}:{self.value}={services}"


@dataclass(frozen=True, slots=True)
class Why:
    """What makes tests need a service. Ambient and self-hosted evidence does not count."""

    tests: int  # that use it
    by_phase: Mapping[Phase, int]  # phase → tests with evidence in it
    by_fixture: Mapping[str, int]  # fixture → tests with evidence through it, most first
    only_through: Mapping[str, int]  # fixtures and phases without which they would not need it → tests, most first


@dataclass(frozen=True, slots=True)
class Variants:
    """The variants of each test held against one another."""

    compared: int  # tests of which several variants ran
    differing: Mapping[str, Mapping[str, tuple[str, ...]]]  # what their node ids share → node id → its services


@dataclass(frozen=True, slots=True)
class Classification:
    """Everything a report says."""

    generated_at: str
    run: RunInfo
    rules: Rules  # that it was made with
    facts: tuple[StaticFacts, ...]  # of the tests, each content once, in their own order
    tests: Mapping[str, TestResult]  # node id → result, in the order in which the tests ended
    run_evidence: tuple[Evidence, ...]  # outside every test, fixture and module
    summary: Summary
    validation: Mapping[str, AssumptionCheck]  # only services with assumptions
    contracts: tuple[ContractCheck, ...] = ()  # in the order of the rules
    why: Mapping[str, Why] = field(default_factory=dict)  # service → what makes tests need it
    variants: Variants = Variants(0, {})  # nothing is compared unless the configuration says what a variant is
    runs: tuple[RunInfo, ...] = ()  # that it was merged from, first to last; empty: it is of one run
    schema: str = SCHEMA
