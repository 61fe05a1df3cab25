"""Each backend has checks for `svc-trace doctor`; a check whose answer is not yes has a remedy."""

from __future__ import annotations

from tracer.record.capture.backends import BACKENDS


def test_each_backend_has_checks() -> None:
    for backend in BACKENDS.values():
        checks = list(backend().checks())
        assert checks
        assert all(check.answer or check.remedy for check in checks)
