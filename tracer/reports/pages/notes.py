"""Notes of the summary: services that are in none of its tables."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from typing import Final

from tracer.classify.directories import ROOT
from tracer.classify.model import Classification, Evidence, is_unknown, unknown_place
from tracer.reports.text import counted, first, joined, listed
from tracer.trace.endpoint import Endpoint

_FAILURES: Final = {
    "ECONNREFUSED": "refused",
    "ENOENT": "no such socket",
    "ETIMEDOUT": "timed out",
    "EHOSTUNREACH": "unreachable",
    "ENETUNREACH": "unreachable",
    "EACCES": "not permitted",
    "EPERM": "not permitted",
    "ECANCELED": "closed before a result",
}


def notes(classification: Classification) -> dict[str, str]:
    """Label → text."""
    tests = classification.tests.values()
    unknown = Counter(service for test in tests for service in test.services if is_unknown(service))
    own = _counts(test.self_hosted for test in tests)
    ambient = _counts(test.ambient for test in tests)
    texts = {
        "Unknown endpoints": listed(described_unknown(classification, dict(unknown.most_common())), "test"),
        "Self-hosted": listed({name: number for name, number in own.items() if not is_unknown(name)}, "test"),
        "Self-hosted, unnamed": _unnamed(classification),
        "Only ambient": listed({_described(name, {}): number for name, number in ambient.items()}, "test"),
        "Needed to begin": _needed(classification),
        "Outside of tests": _outside(classification),
    }
    return {label: text for label, text in texts.items() if text}


def described_unknown(classification: Classification, tests: Mapping[str, int]) -> dict[str, int]:
    """Unknown services → tests, by endpoint and the process that listens there: `tcp://127.0.0.1:7070 [billing]`."""
    evidence = (one for test in (classification.tests.values() if tests else ()) for one in test.evidence)
    listeners = _listeners(evidence)
    return {_described(name, listeners): number for name, number in tests.items()}


def _unnamed(classification: Classification) -> str:
    """The unknown services of the run itself: `3 loopback ports, 2 sockets in /tmp (6 tests)`; empty without any."""
    tests, endpoints = 0, set()
    for test in classification.tests.values():
        unnamed = {name for name in test.self_hosted if is_unknown(name)}
        tests += bool(unnamed)
        endpoints |= {one.endpoint for one in test.evidence if one.service in unnamed}
    kinds = Counter(map(_kind, sorted(endpoints)))
    texts = (f"{counted(number, noun)}{place}" for (noun, place), number in kinds.most_common())
    return f"{', '.join(texts)} ({counted(tests, 'test')})" if kinds else ""


def _kind(endpoint: Endpoint) -> tuple[str, str]:
    """What an endpoint is, and where: a socket's place is the first directory of its path."""
    if endpoint.protocol != "unix":
        loopback = endpoint.host.startswith("127.") or endpoint.host == "::1"
        return ("loopback port", "") if loopback else ("port", " at other addresses")
    if endpoint.path.startswith("@"):
        return "abstract socket", ""
    root, _, rest = endpoint.path.partition("/")
    if root:
        return "socket", " in the working directory"
    return "socket", f" in /{rest.partition('/')[0] if '/' in rest else ''}"


def _outside(classification: Classification) -> str:
    """External services that were used outside of tests, and what happened: `redis (3 sends), postgres (refused)`."""
    by_service = _external(classification)
    listeners = _listeners(classification.run_evidence)
    for service in classification.run_needs:
        by_service.pop(service, None)
    ranked = sorted(by_service.items(), key=lambda item: -_sends(item[1]))
    last_test_s = classification.run.last_test_s
    return first([f"{_described(name, listeners)} ({_events(evidence, last_test_s)})" for name, evidence in ranked])


def _needed(classification: Classification) -> str:
    """Services that pytest used before its first test: `postgres (3 sends), kafka (1 send; only by those below db)`."""
    by_service = _external(classification)
    listeners = _listeners(classification.run_evidence)
    texts = []
    for service, directories in classification.run_needs.items():
        only = f"; only by those below {joined(directories)}" if ROOT not in directories else ""
        events = _events(by_service.get(service, ()), classification.run.last_test_s)
        texts.append(f"{_described(service, listeners)} ({events}{only})")
    return f"{first(texts)}; used before the first test" if texts else ""


def _external(classification: Classification) -> dict[str, list[Evidence]]:
    """External service → the run's evidence."""
    by_service: dict[str, list[Evidence]] = defaultdict(list)
    for one in classification.run_evidence:
        if not one.self_hosted:
            by_service[one.service].append(one)
    return by_service


def _sends(evidence: Iterable[Evidence]) -> int:
    """The number of sends that are no goodbyes and were not lost."""
    return sum(one.sends for one in evidence if one.how != "goodbye" and one.strength == "sent")


def _events(evidence: Iterable[Evidence], last_test_s: float | None) -> str:
    """What happened at one service: `3 sends`, `refused`, `goodbyes after the last test`."""
    evidence = list(evidence)
    sends = _sends(evidence)
    goodbyes = [one.first_s for one in evidence if one.how == "goodbye"]
    after = last_test_s is not None and all(at is not None and at >= last_test_s for at in goodbyes)
    failures = [one for one in evidence if one.strength == "attempted"]
    events = (
        counted(sends, "send") if sends else "",
        "connected" if not sends and any(one.strength == "connected" for one in evidence) else "",
        *(_FAILURES.get(one.errno or "", one.errno or "no answer") for one in failures),
        f"goodbyes{' after the last test' if after else ''}" if goodbyes else "",
    )
    return ", also ".join(filter(None, dict.fromkeys(events)))


def _listeners(evidence: Iterable[Evidence]) -> dict[str, str]:
    """Unknown service → the process that listens there, in brackets."""
    return {one.service: f" [{one.listener}]" for one in evidence if one.listener}


def _described(service: str, listeners: Mapping[str, str]) -> str:
    """A service's name; if it has none, its endpoint and the process that listens there."""
    return unknown_place(service) + listeners.get(service, "")


def _counts(names: Iterable[tuple[str, ...]]) -> dict[str, int]:
    return dict(Counter(name for group in names for name in group).most_common())
