from __future__ import annotations

from msgspec.structs import replace
from suites import evidence

from tracer.reports.evidence_text import amounts

SENT = evidence("redis")  # 1 connect, 3 sends, 120 bytes


def test_numbers_of_an_evidence() -> None:
    assert amounts(SENT) == "1 connect, 3 sends, 120 bytes"
    assert amounts(replace(SENT, connects=0, sends=0, bytes=0)) == "nothing sent"


def test_operations_are_behind_the_number_of_sends() -> None:
    assert amounts(replace(SENT, operations=("GET", "SET"))) == "1 connect, 3 sends (GET, SET), 120 bytes"


def test_dots_stand_for_other_sends() -> None:
    assert amounts(replace(SENT, operations=("GET",), other_sends=2)) == "1 connect, 3 sends (GET, …), 120 bytes"
