from __future__ import annotations

from copy import deepcopy

import pytest

from tracer.classify.via import Via
from tracer.trace.endpoint import Endpoint

ENDPOINTS = {
    "tcp://127.0.0.1:5432": Endpoint("tcp", "127.0.0.1", 5432),
    "udp://[::1]:53": Endpoint("udp", "::1", 53),
    "unix:///run/redis.sock": Endpoint("unix", path="/run/redis.sock"),
    "unix://@name": Endpoint("unix", path="@name"),
}
VIAS = {"fixture:db@tests/a.py": Via("fixture", "db", "tests/a.py"), "module:a.py": Via("module", "a.py")}


@pytest.mark.parametrize(("text", "value"), {**ENDPOINTS, **VIAS}.items())
def test_a_text_type_is_its_text_and_its_parts(text: str, value: Endpoint | Via) -> None:
    parts = [getattr(value, name) for name in value.__slots__]
    for one in (value, type(value).parse(text), deepcopy(value)):
        assert one == text
        assert type(one) is type(value)
        assert [getattr(one, name) for name in one.__slots__] == parts


@pytest.mark.parametrize("text", ["", "tcp", "tcp://host", "tcp://host:http", "://host:1"])
def test_another_text_is_not_an_endpoint(text: str) -> None:
    with pytest.raises(ValueError, match="not an endpoint"):
        Endpoint.parse(text)
