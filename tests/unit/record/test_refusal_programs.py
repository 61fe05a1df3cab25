"""The layout of the programs' maps, compared with the compiled object."""

from __future__ import annotations

import struct
from array import array
from socket import htons

import pytest
from btf_types import Btf

from tracer.record.capture.bpf.programs import REFUSAL_OBJECT
from tracer.record.refusal.programs import FIELDS, NAME, PLACE, _by_network_order


@pytest.mark.parametrize(("name", "size"), [("svc_place", PLACE.size), ("svc_name", NAME.size)])
def test_fields_are_those_of_the_compiled_programs(name: str, size: int) -> None:
    offset, fields = 0, []
    for field, form in FIELDS[name]:
        fields.append((field, offset, struct.calcsize("=" + form)))
        offset += fields[-1][2]
    assert [*fields, ("", size, 0)] == Btf.of_object(REFUSAL_OBJECT).members(name)


def test_groups_are_in_the_order_of_ports_on_the_network() -> None:
    groups = array("H", range(65536))
    ordered = array("H", _by_network_order(groups))
    assert all(ordered[htons(port)] == port for port in range(65536))
