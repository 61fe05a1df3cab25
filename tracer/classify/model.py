"""The classification: everything in a report. The JSON report has the same fields."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Final, Literal

from msgspec import Meta, Struct

from tracer.classify.services.rules import Rules
from tracer.classify.via import Via
from tracer.trace.endpoint import Endpoint
from tracer.trace.records import RunWarning, StaticFacts

SCHEMA: Final = "svc-trace/1"
VERIFY_SCHEMA: Final = "svc-trace-verify/1"
_UNKNOWN: Final = "unknown:"
"""Begins the name of a service that is an endpoint, or a host, which no rule names."""
ALL_UNKNOWN: Final = "(unknown)"
"""The name of all endpoints that no rule names, where they count as one service."""

_HIGHEST: Final = (1 << 63) - 1
Count = Annotated[int, Meta(ge=0, le=_HIGHEST)]
"""A number of things. The limits are for reports from elsewhere: sums and shares of larger numbers would fail."""
Integer = Annotated[int, Meta(ge=-_HIGHEST, le=_HIGHEST)]
Seconds = Annotated[float, Meta(ge=-1e12, le=1e12)]

How = Literal["direct", "inherited", "ambient", "goodbye"]
Phase = Literal["collection", "setup", "call", "teardown"]
SetUpScope = Literal["session", "package", "module", "class", "import"]
Strength = Literal["sent", "connected", "attempted"]
Outcome = Literal["passed", "failed", "error", "skipped", "xfailed", "xpassed", "interrupted", "crashed", "not run"]
CUT_OFF: Final[frozenset[Outcome]] = frozenset({"interrupted", "crashed", "not run"})
"""Outcomes of tests that did not run to their end."""
Verdict = Literal["needs", "tolerates", "unaffected", "undecided"]
Reason = Literal["failed", "skipped", "cut-short", "flaky", "reached", "missing-with", "missing-without", "conflict"]
"""Why a verdict is `undecided`."""
Through = Annotated[str, Meta(pattern=r"\A(?:session\Z|fixture:|module:)")]
"""`session`, `fixture:<name>@<baseid>`, `fixture:<name>` (of function scope: its place is unknown), `module:<path>`."""


def unknown_service(place: str) -> str:
    """The name of a service that no rule names: `unknown:<place>`.

    Args:
        place: the endpoint, or a URL with the host's name; empty: any endpoint.
    """
    return _UNKNOWN + place


def is_unknown(service: str) -> bool:
    """Whether no rule names a service."""
    return service.startswith(_UNKNOWN)


def unknown_place(service: str) -> str:
    """The endpoint of an unknown service, or the URL with its host's name."""
    return service.removeprefix(_UNKNOWN)


class Evidence(Struct, frozen=True, kw_only=True, gc=False):
    """Evidence that a test uses a service: flows to one endpoint with the same phase, fixture and thread."""

    service: str  # a configured name; `unknown:<endpoint>`, or `unknown:` and a URL with the host's name
    endpoint: Endpoint
    host: str | None = None  # the host's name; None: unknown, or a unix socket
    protocol: str | None = None  # recognised from the first bytes sent; None: they identify none
    how: How
    via: Via | None  # only of inherited evidence
    phase: Phase | None  # None only for evidence of the run
    fixture: str | None
    thread: Literal["test", "other"]
    asked: bool | None = None
    """Whether the test, or the fixture or module that it inherits from, woke the other thread or process that sent it,
    directly or through others. None: unknown; or the test's own thread sent it."""
    command: str  # the process's command name
    strength: Strength
    self_hosted: bool = False  # a process of the run itself listens at the endpoint
    ambiguous: bool = False  # several tests ran in one process at once, and the sending thread belongs to none of them
    connects: Count
    sends: Count
    bytes: Count
    operations: tuple[str, ...] = ()
    """Sorted names of the operations with which sends were seen to begin, at most the 8 with the most sends."""
    other_sends: Count = 0  # sends that may begin with other operations; 0 without operations
    errno: str | None  # the symbolic name of the first failure, such as `ECONNREFUSED`
    first_s: Seconds | None  # seconds since the test began; inherited and run evidence: since the run began
    listener: str | None = None  # name of the process that listens at the endpoint, if no rule names the endpoint
    needed_below: tuple[str, ...] = ()
    """Of the run's evidence: directories whose tests cannot run without it, because pytest sent it before its first
    test; `.`: all tests. Sorted."""

    @property
    def is_need(self) -> bool:
        """Whether the test needs the service because of this evidence. Ambient evidence, goodbyes and self-hosted
        evidence are no reason.
        """
        return self.how in ("direct", "inherited") and not self.self_hosted


class SetUp(Struct, frozen=True):
    """What tests share: a fixture wider than function scope, or the import of a module."""

    via: Via
    scope: SetUpScope
    node: str  # node id of the class, module or package for which it is done; empty for the session
    param: str | None  # the id of the fixture's parameter
    duration_s: Seconds
    """Of one set-up with its finalizer, without other set-ups within; if it was done several times, the longest."""


class RunResult(Struct, frozen=True, order=True, omit_defaults=True):
    """A test's result in one of several runs."""

    run: Integer  # position in the classification's `runs`
    outcome: Outcome  # of the last attempt in this run
    duration_s: Seconds
    attempts: Count
    shared_s: Seconds = 0.0


class TestResult(Struct, frozen=True, kw_only=True):
    """A test: all its attempts together, in all merged runs."""

    __test__ = False  # not for pytest to collect

    outcome: Outcome  # of the last attempt
    duration_s: Seconds  # all phases of all attempts
    attempts: Count = 1
    services: tuple[str, ...]  # sorted; direct and inherited, external
    ambient: tuple[str, ...]  # sorted; services with only ambient evidence
    self_hosted: tuple[str, ...]  # sorted; provided by the run itself
    assumed: tuple[str, ...]  # sorted; services that the static rules claim
    facts: Integer | None = None  # position of its static facts in the classification's `facts`; None: they were lost
    set_ups: tuple[Integer, ...] = ()  # positions of what it shares with others in the classification's `set_ups`
    shared_s: Seconds = 0.0  # the part of `duration_s` in which these were done
    evidence: tuple[Evidence, ...]
    runs: tuple[
        RunResult, ...
    ] = ()  # the runs that had the test, first to last; empty if the classification is of one run


class RefusedService(Struct, frozen=True, order=True):
    """A service that was refused to a run."""

    service: str  # a configured name; `(unknown)`: everything that no other name stands for
    calls: Count | None  # connects and sends that the kernel refused; None: it does not count them


class RunInfo(Struct, frozen=True):
    """The run of a classification; of a merged classification, all runs as if they were one."""

    command: tuple[str, ...]  # empty if merged runs had different ones
    backend: str
    kernel: str
    started_at: str  # ISO 8601, UTC, with a `Z`
    duration_s: Seconds
    exit_status: Integer | None  # None: the trace was cut off
    complete: bool
    lost_events: Count
    warnings: tuple[RunWarning, ...]
    pytest_reported: bool = True  # whether the hook reported from any process; of merged runs: in each of them
    missing_tests: Count | None = 0  # tests that should have run, and are not in the report; None: some
    lacks_causes: str = "an older svc-trace made the report"
    """Why it is unknown which thread woke which, so that older rules decide; empty: it is known. Of merged runs: the
    first reason."""
    last_test_s: Seconds | None = None
    """When the last test ended, since the run began. None: there was no test; it is unknown; or the run stands for
    merged ones."""
    refused: tuple[RefusedService, ...] = ()  # sorted; the services that were refused to the command
    session_s: Seconds | None = None
    """Seconds before the first test, without the imports of modules after the first one, and after the last test. None
    as of `last_test_s`."""
    partial: bool = False
    """Whether a pytest left out tests of files that it collected: they were deselected, the arguments did not name
    them, or it stopped early. Of merged runs: in any of them."""


class Directory(Struct, frozen=True):
    """A directory of the suite, with all directories below it."""

    tests: Count
    services: Mapping[str, Count]  # service → tests, most first
    tiers: Mapping[str, Count]  # tier → tests, in the configuration's order; only those with tests


class Combination(Struct, frozen=True):
    """Tests that use exactly the same services, with those that their session needs to begin."""

    services: tuple[str, ...]  # sorted; all unknown endpoints together are `(unknown)`, at the end
    tests: Count


class Summary(Struct, frozen=True):
    """Numbers of tests."""

    total_tests: Count
    services: Mapping[str, Count]  # service → tests, most first
    tiers: Mapping[str, Count]  # tier → tests, in the configuration's order
    directories: Mapping[str, Directory] = {}  # by path from pytest's rootdir; "." is itself
    combinations: tuple[Combination, ...] = ()  # most tests first; empty also in reports of older versions


class AssumptionCheck(Struct, frozen=True):
    """One service's static rule, compared with its use. Each test counts in one of the first six fields."""

    confirmed: Count  # assumed and observed
    blind_spots: tuple[str, ...]  # node ids, sorted: observed, not assumed
    over_assumed: tuple[str, ...]  # node ids, sorted: assumed, not observed
    neither: Count  # not assumed, not observed
    ambient_only: tuple[str, ...]  # node ids, sorted: only ambient evidence, which neither confirms nor refutes
    undecided: Count  # not observed, but the test did not run to its end
    precision: float | None  # confirmed / (confirmed + over_assumed); None: nothing was assumed
    recall: float | None  # confirmed / (confirmed + blind_spots); None: nothing was observed


class ContractCheck(Struct, frozen=True):
    """A contract, compared with the services that its tests used."""

    selector: Literal["marker", "path", "fixture"]
    value: str  # of a marker also `not NAME`: the tests without it
    services: Literal["none", "some"] | tuple[str, ...]
    tests: Count  # number of tests to which it applies
    violations: tuple[str, ...]  # node ids, sorted

    @property
    def name(self) -> str:
        """A name for the contract, such as `marker:unit=none`."""
        services = self.services if isinstance(self.services, str) else ",".join(self.services)
        return f"{self.selector}:{self.value}={services}"


class Why(Struct, frozen=True):
    """Why tests need a service. Ambient and self-hosted evidence does not count."""

    tests: Count  # number of tests that use it
    by_phase: Mapping[Phase, Count]  # phase → tests with evidence in it
    by_fixture: Mapping[str, Count]  # fixture → tests with evidence through it, most first
    only_through: Mapping[str, Count]  # fixtures and phases that are the only reason → tests, most first


class RefusedUse(Struct, frozen=True):
    """What was tried of a service that was refused to the run. Ambient attempts do not count."""

    tests: tuple[str, ...]  # node ids, sorted: they tried to use it
    attempts: Count  # refused attempts; an attempt that several tests inherit counts for each of them
    through: Mapping[str, Count]  # `itself`, or as `through` of a verdict → tests, most first
    outside: Count  # refused attempts outside of tests, such as in the import of a conftest
    reached: tuple[str, ...]  # node ids, sorted: they used it, although it was refused


class Variants(Struct, frozen=True):
    """The comparison of each test's variants."""

    compared: Count  # number of tests with several variants that ran
    differing: Mapping[str, Mapping[str, tuple[str, ...]]]  # common part of the node ids → node id → services


class TestVerdict(Struct, frozen=True, kw_only=True):
    """What became of a test when some services were refused."""

    __test__ = False  # not for pytest to collect

    verdict: Verdict
    outcome_with: Outcome | None  # of the last run with the services; None: no such run had the test
    outcome_without: Outcome | None  # of the last run without them
    refused: Count = 0  # attempts that were refused; of several runs: in the one with the most
    through: Through | None = None  # None: the test itself
    duration_with_s: Seconds | None = None  # the median of the runs; None: as of `outcome_with`
    duration_without_s: Seconds | None = None
    tried: tuple[str, ...] = ()  # sorted; the refused services that it used with them, or tried to use without them
    reason: Reason | None = None  # only of `undecided`

    @property
    def is_surprise(self) -> bool:
        """Whether it needs a service of which no run showed that it used it."""
        return self.verdict == "needs" and not self.tried and self.through is None


class Verification(Struct, frozen=True, kw_only=True):
    """The verdicts of a trial: tests with some services, and without them."""

    generated_at: str
    command: tuple[str, ...]  # empty if united trials had different ones
    without: Annotated[tuple[str, ...], Meta(min_length=1)]  # the refused services, sorted
    complete: bool  # no run lost anything
    runs_with: Count
    runs_without: Count
    tests: Mapping[str, TestVerdict]  # by node id, sorted
    schema: str = VERIFY_SCHEMA


class Classification(Struct, frozen=True, kw_only=True):
    """Everything in a report."""

    generated_at: str
    run: RunInfo
    rules: Rules = Rules()  # by which it was made
    facts: tuple[StaticFacts, ...] = ()  # of the tests; each once, sorted
    set_ups: tuple[SetUp, ...] = ()  # of the tests; sorted by all fields but the duration
    tests: Mapping[str, TestResult]  # node id → result, in the order in which the tests ended
    run_evidence: tuple[Evidence, ...]  # outside every test, fixture and module
    run_needs: Mapping[str, tuple[str, ...]] = {}
    """Service without which no session begins → the directories whose tests need it, sorted; `.`: all tests."""
    summary: Summary
    validation: Mapping[str, AssumptionCheck]  # only services with assumptions
    contracts: tuple[ContractCheck, ...] = ()  # in the order of the rules
    why: Mapping[str, Why] = {}  # service → why tests need it
    variants: Variants = Variants(0, {})  # empty unless the configuration has `[variants]`
    refused: Mapping[str, RefusedUse] = {}  # refused service → what was tried; only those that were tried
    verified: tuple[Verification, ...] = ()  # what trials without services showed; each set of services once, sorted
    runs: tuple[RunInfo, ...] = ()  # the merged runs, first to last; empty: it is of one run
    schema: str = SCHEMA

    @property
    def each_run(self) -> tuple[RunInfo, ...]:
        """The runs of which this is the report, first to last."""
        return self.runs or (self.run,)
