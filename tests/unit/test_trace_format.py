"""docs/trace-format.md is generated: it has to be what scripts/trace_format.py writes now."""

from __future__ import annotations

import pytest
from trace_format import PAGE, field_meanings, page

from tracer.trace.rows import RECORD_TYPES


def test_the_page_is_up_to_date() -> None:
    assert PAGE.read_text() == page(), "run .venv/bin/python scripts/trace_format.py"


@pytest.mark.parametrize("tag", RECORD_TYPES)
def test_every_field_has_a_meaning(tag: str) -> None:
    assert not [name for name, meaning in field_meanings(RECORD_TYPES[tag]).items() if not meaning]
