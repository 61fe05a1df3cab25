"""What `explain` and the summary say about tests that query by a thread which all tests share."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from truth.runs import Surroundings, run_traced
from truth.scenario import load
from truth.test_truth import SCENARIOS

QUERIES = ("first_query", "second_query", "both", "view")
OTHERS = 4
"""Tests that do not query the database. They only request the fixture that creates its table."""


@pytest.mark.kernel
@pytest.mark.probes
def test_a_test_that_queries_uses_the_database_itself(backend: str, with_servers: Surroundings, tmp_path: Path) -> None:
    _, report = run_traced(load(SCENARIOS / "threads/django_async"), backend, with_servers, tmp_path / "run")
    assert report is not None
    why = report.why["postgres"]
    assert (why.tests, sum(why.only_through.values())) == (len(QUERIES) + OTHERS, OTHERS)
    for query in QUERIES:
        explain = (sys.executable, "-m", "tracer", "explain", tmp_path / "run/report.json", f"test_it.py::test_{query}")
        text = " ".join(subprocess.run(explain, capture_output=True, text=True, check=True).stdout.split())
        assert "in the call, another thread or process (python), which the test woke, sent to tcp://127.0.0.1:" in text
        assert "did not ask" not in text
