from __future__ import annotations

import pytest
from msgspec.structs import replace
from suites import evidence

from tracer.reports.evidence_text import activity, amounts
from tracer.trace.endpoint import Endpoint

SENT = evidence("redis")  # 1 connect, 3 sends, 120 bytes


def test_numbers_of_an_evidence() -> None:
    assert amounts(SENT) == "1 connect, 3 sends, 120 bytes"
    assert amounts(replace(SENT, connects=0, sends=0, bytes=0)) == "nothing sent"


def test_operations_are_behind_the_number_of_sends() -> None:
    assert amounts(replace(SENT, operations=("GET", "SET"))) == "1 connect, 3 sends (GET, SET), 120 bytes"


def test_dots_stand_for_other_sends() -> None:
    assert amounts(replace(SENT, operations=("GET",), other_sends=2)) == "1 connect, 3 sends (GET, …), 120 bytes"


@pytest.mark.parametrize(
    ("endpoint", "shown"),
    [
        ("tcp://93.184.216.34:443", "api.example.com (93.184.216.34:443)"),
        ("tcp://[2001:db8::1]:443", "api.example.com ([2001:db8::1]:443)"),
        ("udp://93.184.216.34:443", "api.example.com (udp://93.184.216.34:443)"),
    ],
)
def test_a_host_is_before_its_address(endpoint: str, shown: str) -> None:
    known = replace(SENT, endpoint=Endpoint.parse(endpoint), host="api.example.com")
    assert activity(known) == f"in the call, the test's thread sent to {shown}"
    assert activity(replace(known, host=None)) == f"in the call, the test's thread sent to {endpoint}"
