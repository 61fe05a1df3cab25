"""A believable classification of a large suite."""

from __future__ import annotations

from msgspec.structs import replace
from suites import evidence

from tracer.classify.combinations import count_combinations
from tracer.classify.model import AssumptionCheck, Classification, RunInfo, Summary, TestResult
from tracer.classify.services.rules import AssumptionRule, Contract, Rules, Tier
from tracer.classify.via import Via
from tracer.trace.records import StaticFacts

SEEN = replace(
    evidence("postgres"),
    protocol="postgres",
    sends=31,
    bytes=4711,
    operations=("INSERT", "SELECT"),
    other_sends=27,
    first_s=0.0123,
)
"""A test's plain use of Postgres."""

SERVICES = {  # service → every how many tests one uses it
    "postgres": 1,
    "redis": 2,
    "snuba": 5,
    "kafka": 7,
    "redis-cluster": 40,
    "symbolicator": 150,
    "objectstore": 200,
    "bigtable": 250,
    "clickhouse": 300,
    "memcached": 400,
    "smtp": 500,
    "statsd": 1999,
}
MODULES = 70
RULES = Rules(
    {
        "postgres": AssumptionRule(classes=("unittest.TestCase",), in_class=True),
        "kafka": AssumptionRule(frozenset({"requires_kafka"}), frozenset({"z", "a"}), (), ("tests/relay/**",)),
    },
    (Tier("no_services", within=frozenset()), Tier("snuba_tier", any=frozenset({"snuba"})), Tier("other_services")),
    (Contract("marker", "unit", "none"), Contract("path", "tests/relay/**", ("kafka", "redis"))),
)
TIERS = {"no_services": 0, "postgres_only": 800, "snuba_tier": 400, "other_services": 800}


def classification() -> Classification:
    """2,000 tests, twelve services, and everything else that a report can tell."""
    tests = {_nodeid(number): _test(number) for number in range(2000)}
    kafka = [nodeid for nodeid, test in tests.items() if "kafka" in test.services]
    counts = {name: sum(name in test.services for test in tests.values()) for name in SERVICES}
    unknown = {f"unknown:tcp://10.0.3.{n}:{7000 + n}": 1 for n in range(7)}
    return Classification(
        generated_at="2026-11-20T22:00:00Z",
        run=RunInfo(
            command=("pytest", "-n", "4"),
            backend="libbpf",
            kernel="6.18.0",
            started_at="2026-11-20T21:45:00Z",
            duration_s=872.4,
            exit_status=1,
            complete=True,
            lost_events=0,
            warnings=(),
            lacks_causes="",
        ),
        rules=RULES,
        facts=tuple(_facts(module) for module in range(MODULES)),
        tests=tests,
        run_evidence=(replace(SEEN, phase=None), replace(SEEN, service="redis", phase=None, sends=1)),
        summary=Summary(
            len(tests),
            dict(sorted(counts.items(), key=lambda item: -item[1])) | unknown,
            TIERS,
            combinations=count_combinations(tests),
        ),
        validation={
            "postgres": AssumptionCheck(len(tests), (), (), 0, (), 0, 1.0, 1.0),
            "kafka": AssumptionCheck(20, tuple(kafka[20:]), tuple(tests)[1:3], 1712, (), 0, 0.909, 0.07),
        },
    )


def _module(number: int) -> str:
    return f"tests/sentry/api/endpoints/test_organization_events_{number}.py"


def _facts(module: int) -> StaticFacts:
    own = f"tests.sentry.api.endpoints.test_organization_events_{module}.OrganizationEventsEndpointTest"
    bases = (own, "sentry.testutils.cases.APITestCase", "unittest.case.TestCase")
    return StaticFacts(_module(module), ("db", "request"), ("django_db",), bases)


def _nodeid(number: int) -> str:
    module = _module(number % MODULES)
    return f"{module}::OrganizationEventsEndpointTest::test_handles_project_with_many_releases[{number}-élan]"


def _test(number: int) -> TestResult:
    services = {name for name, every in SERVICES.items() if number % every == 0}
    told = [replace(SEEN, service=name, phase="setup" if name == "redis" else "call") for name in sorted(services)]
    if number < 7:
        unknown = f"unknown:tcp://10.0.3.{number}:{7000 + number}"
        told.append(replace(SEEN, service=unknown, strength="attempted", errno="ECONNREFUSED", sends=0, bytes=0))
        services.add(unknown)
    ambient = ("kafka",) if number % 7 == 3 else ()
    told += [replace(SEEN, service=name, how="ambient", thread="other") for name in ambient]
    if number % 50 == 1:
        told.append(
            replace(SEEN, service="snuba", how="inherited", via=Via("fixture", "snuba", "tests/snuba"), phase="setup")
        )
    return TestResult(
        outcome="failed" if number % 600 == 5 else "skipped" if number % 90 == 2 else "passed",
        duration_s=0.25,
        attempts=1,
        services=tuple(sorted(services)),
        ambient=ambient,
        self_hosted=("http",) if number % 100 == 9 else (),
        assumed=("postgres",),
        facts=number % MODULES,
        evidence=tuple(told),
    )
