"""What the reports for people say of a classification as a whole, whatever their format."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from tracer.classify.directories import count_by_directory
from tracer.classify.model import ALL_UNKNOWN, UNKNOWN, Classification, Directory, Outcome, RunInfo, Why, is_unknown
from tracer.reports.wording import counted, duration, listed, percent

OUTCOMES: Final[tuple[Outcome, ...]] = (
    "passed",
    "failed",
    "error",
    "interrupted",
    "crashed",
    "skipped",
    "xfailed",
    "xpassed",
)
_WAYS: Final = 3
"""How many ways to need a service are told."""
_ALONE: Final = "on their own"
_NEARLY_ALL: Final = 0.9


def headline(classification: Classification) -> tuple[str, str]:
    """How many tests, and of which runs: `2,329 tests`, `of 22 runs in 3 h 1 min, traced by libbpf`."""
    run, total, runs = classification.run, classification.summary.total_tests, len(classification.runs)
    tests = counted(total, "test") if total else "no tests"
    of_runs = f"of {counted(runs, 'run')} " if runs > 1 else ""
    return tests, f"{of_runs}in {duration(run.duration_s)}, traced by {run.backend}"


def outcome_counts(classification: Classification) -> dict[Outcome, int]:
    """Outcome → tests, in the order of the outcomes."""
    outcomes = Counter(test.outcome for test in classification.tests.values())
    return {outcome: outcomes[outcome] for outcome in OUTCOMES if outcome in outcomes}


def service_counts(classification: Classification) -> dict[str, int]:
    """Service → tests, most first; the unknown ones together, and last."""
    services = {name: tests for name, tests in classification.summary.services.items() if not is_unknown(name)}
    unknown = sum(any(map(is_unknown, test.services)) for test in classification.tests.values())
    return services | ({ALL_UNKNOWN: unknown} if unknown else {})


def directory_table(classification: Classification, depth: int) -> dict[str, Directory]:
    """The folders down to so many levels, each test in exactly one."""
    return count_by_directory(classification.tests, classification.rules.tiers, depth=depth)


def needs(classification: Classification) -> dict[str, str]:
    """What makes tests need a service, and where: `98% only through fixture flush (teardown); 2.0% on their own`.

    Nothing of those that every test needs on its own, all over the suite.
    """
    told = {
        service: "; ".join((*_ways(why), *_home(classification, service)))
        for service, why in classification.why.items()
        if not is_unknown(service)
    }
    return {service: text for service, text in told.items() if text != f"100% {_ALONE}"}


def _ways(why: Why) -> Iterator[str]:
    ways = {f"only through {through}": tests for through, tests in why.only_through.items()}
    ways[_ALONE] = why.tests - sum(ways.values())
    ranked = sorted(ways.items(), key=lambda way: -way[1])
    told = [(way, tests) for way, tests in ranked if tests][:_WAYS]
    yield from (f"{percent(tests, why.tests)} {way}" for way, tests in told)
    if others := why.tests - sum(tests for _, tests in told):
        yield f"{percent(others, why.tests)} only through others"


def _home(classification: Classification, service: str) -> Iterator[str]:
    """The innermost folder with nearly all tests that use a service, unless nearly all tests are in there."""
    summary = classification.summary
    whole = summary.services.get(service, 0)
    homes = {
        path: one
        for path, one in summary.directories.items()
        if one.services.get(service, 0) >= _NEARLY_ALL * whole and one.tests < _NEARLY_ALL * summary.total_tests
    }
    if homes:
        path = max(homes, key=lambda path: path.count("/"))
        using, tests = homes[path].services[service], homes[path].tests
        yield f"{percent(using, whole)} in {path}, where {percent(using, tests)} of the tests use it"


def notes(classification: Classification) -> dict[str, str]:
    """What else there is to tell: label → text."""
    tests = classification.tests.values()
    unknown = Counter(service for test in tests for service in test.services if is_unknown(service))
    outside: Counter[str] = Counter()
    for evidence in classification.run_evidence:
        outside[evidence.service] += evidence.sends
    told = {
        "Unknown endpoints": listed(described_unknown(classification, dict(unknown.most_common())), "test"),
        "Self-hosted": listed(_counts(test.self_hosted for test in tests), "test"),
        "Only ambient": listed(_counts(test.ambient for test in tests), "test"),
        "Outside of tests": listed(dict(outside.most_common()), "send"),
    }
    return {label: text for label, text in told.items() if text}


def described_unknown(classification: Classification, tests: Mapping[str, int]) -> dict[str, int]:
    """Unknown services → tests, by endpoint and the process that listens there: `tcp://127.0.0.1:7070 [billing]`."""
    listeners = {
        one.service: f" [{one.listener}]"
        for test in (classification.tests.values() if tests else ())
        for one in test.evidence
        if one.listener
    }
    return {name.removeprefix(UNKNOWN) + listeners.get(name, ""): number for name, number in tests.items()}


def incompleteness(run: RunInfo) -> str:
    """Why a run is not complete, and what to do."""
    if run.lost_events:
        return (
            f"{counted(run.lost_events, 'event')} lost: tests may use more services than is told here. "
            "Run it again with fewer workers at a time."
        )
    if run.exit_status is None:
        return "The trace was cut off: what came later is missing. Run it again."
    return "Part of what the hook told was lost: see the warnings below."


def _counts(names: Iterable[tuple[str, ...]]) -> dict[str, int]:
    return dict(Counter(name for group in names for name in group).most_common())
