"""What doctor asks: something of every backend."""

from __future__ import annotations

from tracer.record.capture.backends import BACKENDS


def test_each_backend_has_its_requirements() -> None:
    for backend in BACKENDS.values():
        checks = list(backend().checks())
        assert checks
        assert all(check.answer or check.remedy for check in checks)
