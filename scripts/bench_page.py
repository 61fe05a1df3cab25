"""Measures the page of a report in Chromium: its size, writing it, loading it, filtering, opening the view of a test.

    .venv/bin/python scripts/bench_page.py [REPORT]

Without a report, it makes one of 30,000 tests. It prints the median of several times; nothing is asserted.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable
from io import BytesIO, TextIOWrapper
from pathlib import Path
from statistics import median
from typing import Final

from chromium import chromium
from playwright.sync_api import Page

from tracer.classify.classification import assemble
from tracer.classify.model import Classification, Evidence, Phase, RunInfo, TestResult
from tracer.classify.services.rules import AssumptionRule, Rules, Tier
from tracer.classify.via import Via
from tracer.reports.formats import FORMATS
from tracer.reports.json_report import read_classification
from tracer.reports.pages.summary import SummaryDocument
from tracer.trace.endpoint import Endpoint
from tracer.trace.records import StaticFacts

_TESTS: Final = 30_000
_SERVICES: Final = ("postgres", "redis", "kafka", "search", "objectstore", "smtp")
_TIMES: Final = 5
_FILTERED: Final = """async (state) => {
  const start = performance.now();
  location.hash = state;
  await new Promise((done) => addEventListener("hashchange", done, { once: true }));
  document.body.offsetHeight;  // the layout is a part of it
  return performance.now() - start;
}"""


_SORTED: Final = """() => {
  const start = performance.now();
  document.querySelector("#matrix thead th:last-child button").click();
  document.body.offsetHeight;
  return performance.now() - start;
}"""


def main() -> None:
    """Print all figures."""
    report = read_classification(Path(sys.argv[1])) if len(sys.argv) > 1 else _report()
    start = time.perf_counter()
    buffer = TextIOWrapper(BytesIO())
    FORMATS["html"].print(SummaryDocument(report), buffer)
    written = time.perf_counter() - start
    page = buffer.buffer
    assert isinstance(page, BytesIO)
    evidence = sum(len(test.evidence) for test in report.tests.values())
    print(f"{len(report.tests):,} tests, {evidence:,} pieces of evidence")
    print(f"written in   {written:6.2f} s, {len(page.getvalue()) / 1e6:.2f} MB")
    with tempfile.TemporaryDirectory() as directory, chromium() as browser:
        path = Path(directory) / "page.html"
        path.write_bytes(page.getvalue())
        _print("loaded in", lambda: _load(browser.new_page(), path))
        opened = browser.new_page()
        _load(opened, path)
        nodeid = [*report.tests][len(report.tests) // 2]
        states = {
            "filtered by a word in": ("#q=orders", "#q=test"),
            "filtered by a service in": ("#service=kafka", "#service=redis"),
            "sorted in": ("#sort=name", "#sort=-duration"),
            "unfiltered in": ("#q=orders", "#"),
            "test shown in": ("#q=orders", f"#test={nodeid}"),
        }
        for label, (before, after) in states.items():
            _print(label, lambda before=before, after=after: _change(opened, before, after))  # type: ignore[misc]
        _print("matrix sorted in", lambda: float(opened.evaluate(_SORTED)) / 1000)


def _print(label: str, measure: Callable[[], float]) -> None:
    print(f"{label:<25}{1000 * median(measure() for _ in range(_TIMES)):6.0f} ms")


def _load(page: Page, path: Path) -> float:
    """Seconds until the page is complete and drawn."""
    start = time.perf_counter()
    page.goto(path.as_uri())
    page.wait_for_selector("html[data-ready]", state="attached")
    page.evaluate("new Promise((done) => requestAnimationFrame(() => setTimeout(done)))")
    return time.perf_counter() - start


def _change(page: Page, before: str, after: str) -> float:
    """Seconds until the page shows another state."""
    page.evaluate(_FILTERED, before)
    return float(page.evaluate(_FILTERED, after)) / 1000


def _report() -> Classification:
    """A report of many tests, with the durations and evidence of a suite of services."""
    tiers = Tier("light", within=frozenset({"postgres"})), Tier("rest")
    rules = Rules({"kafka": AssumptionRule(markers=frozenset({"kafka"}))}, tiers)
    files = [f"tests/component_{n % 40:02}/{'api' if n % 3 else 'models'}/test_orders_{n:04}.py" for n in range(1500)]
    facts = tuple(StaticFacts(file, ("db", "client"), ("slow",), ()) for file in files)
    tests = {f"{files[n % 1500]}::TestOrdersEndpoint::test_answers_in_pages[{n}-page]": _test(n) for n in range(_TESTS)}
    run = RunInfo(("pytest",), "libbpf", "6.18.0", "2026-11-20T21:45:00Z", 900.0, 0, True, 0, ())
    return assemble(tests, facts, rules, run=run, run_evidence=(), generated_at="2026-11-20T22:00:00Z")


def _test(number: int) -> TestResult:
    services = tuple(sorted(name for place, name in enumerate(_SERVICES) if number % (1 + place * 2) == 0))
    evidence = tuple(one for service in services for one in _evidence(service, number))
    return TestResult(
        outcome="failed" if number % 997 == 0 else "passed",
        duration_s=round((number * 7919 % 10_007) ** 2 / 1e7, 6),
        services=services,
        ambient=(),
        self_hosted=(),
        assumed=(),
        facts=number % 1500,
        evidence=evidence,
    )


def _evidence(service: str, number: int) -> list[Evidence]:
    """A connection that is inherited, and sends in each phase."""
    endpoint, via = Endpoint("tcp", "127.0.0.1", 5000 + len(service)), Via("fixture", service, "tests")
    phases: tuple[Phase | None, ...] = (None, "setup", "call", "teardown")
    return [
        Evidence(
            service=service,
            endpoint=endpoint,
            how="inherited" if phase is None else "direct",
            via=via if phase is None else None,
            phase=phase or "setup",
            fixture=None if phase == "call" else service,
            thread="test",
            command="pytest",
            strength="sent",
            connects=int(phase is None),
            sends=1 + number % 17,
            bytes=100 + number * 31 % 4000,
            errno=None,
            first_s=0.5 if phase is None else round(number % 1000 / 1e4 + place / 100, 6),
        )
        for place, phase in enumerate(phases)
    ]


if __name__ == "__main__":
    main()
