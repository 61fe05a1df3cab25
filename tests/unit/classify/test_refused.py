"""What a report says about the services that were refused to its run."""

from __future__ import annotations

from tracer.classify.model import RefusedService
from tracer.classify.refused import refused_services
from tracer.trace.records import Refused


def test_calls_of_one_service_add_up() -> None:
    records = (Refused("redis"), Refused("kafka"), Refused("redis", first_port=6379), Refused("redis", calls=3))
    assert refused_services(records) == (RefusedService("kafka", 0), RefusedService("redis", 3))


def test_calls_are_unknown_if_one_number_is() -> None:
    records = (Refused("redis", calls=3), Refused("redis", path="/run/redis.sock", calls=None), Refused("redis"))
    assert refused_services(records) == (RefusedService("redis", None),)


def test_what_has_no_name_is_unknown() -> None:
    assert refused_services([Refused("", calls=2)]) == (RefusedService("(unknown)", 2),)
