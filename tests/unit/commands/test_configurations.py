"""Which configuration a trace has."""

from __future__ import annotations

from pathlib import Path

import pytest

from tracer.commands.configurations import find_configuration, with_rootdirs
from tracer.trace.ids import NO_SPAN, ProcessId, SpanId, Tid
from tracer.trace.records import Run, Span, SpanKind, Trace

BILLING = "[services.billing]\nports = [7070]\n"


def trace(*spans: tuple[SpanKind, str, int]) -> Trace:
    """A trace with spans: kind, subject and the number of the span around each."""
    made = {
        SpanId(number): Span(
            SpanId(number), SpanId(parent) if parent else NO_SPAN, ProcessId(1), Tid(1), kind, number, 100, subject
        )
        for number, (kind, subject, parent) in enumerate(spans, 1)
    }
    return Trace(Run(("pytest",), "libbpf", "6.18", 0.0, 0, "/"), {}, {}, made, (), (), {}, (), (), (), None)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository whose directories have no configuration."""
    (tmp_path / ".git").mkdir()
    for name in ("backend/tests", "frontend"):
        (tmp_path / name).mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_that_of_the_rootdir_if_the_working_directory_has_none(here: Path) -> None:
    (here / "backend/svc-trace.toml").write_text(BILLING)
    found = with_rootdirs(find_configuration(None), trace(("session", f"{here}/backend/tests", 0)))
    assert found.config.source == str(here / "backend/svc-trace.toml")
    assert "billing" in found.config.services


def test_that_of_the_working_directory_is_first(here: Path) -> None:
    (here / "svc-trace.toml").write_text(BILLING)
    (here / "backend/svc-trace.toml").write_text("")
    found = with_rootdirs(find_configuration(None), trace(("session", f"{here}/backend", 0)))
    assert found.config.source == str(here / "svc-trace.toml")


def test_a_file_that_was_given_is_the_only_one(here: Path) -> None:
    (here / "backend/svc-trace.toml").write_text("")
    (here / "given.toml").write_text(BILLING)
    found = with_rootdirs(find_configuration(here / "given.toml"), trace(("session", f"{here}/backend", 0)))
    assert found.config.source == str(here / "given.toml")


def test_of_several_none_is_used(here: Path) -> None:
    for name in ("backend", "frontend"):
        (here / name / "svc-trace.toml").write_text(BILLING)
    sessions = [("session", f"{here}/{name}", 0) for name in ("backend", "frontend")]
    found = with_rootdirs(find_configuration(None), trace(*sessions))  # type: ignore[arg-type]
    assert found.config.source is None
    assert found.searched.directories == (here, here / "backend", here / "frontend")


def test_a_session_within_a_test_does_not_count(here: Path) -> None:
    (here / "backend/svc-trace.toml").write_text(BILLING)
    spans = trace(("session", str(here), 0), ("test", "a.py::x", 1), ("session", f"{here}/backend", 2))
    assert with_rootdirs(find_configuration(None), spans).config.source is None


def test_the_search_ends_at_the_repository(here: Path) -> None:
    assert find_configuration(None).searched.directories == (here,)
