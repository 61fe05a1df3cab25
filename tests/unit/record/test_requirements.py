"""What doctor asks: something of every backend."""

from __future__ import annotations

from tracer.record.capture.backends import BACKENDS
from tracer.record.capture.doctor.requirements import REQUIREMENTS


def test_each_backend_has_its_requirements() -> None:
    assert REQUIREMENTS.keys() == BACKENDS.keys()
    for requirement in REQUIREMENTS.values():
        assert all(check.answer or check.remedy for check in requirement())
