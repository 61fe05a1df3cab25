from uuid import uuid4

import pytest
from shop import events

pytestmark = pytest.mark.requires_kafka


def test_encoding():
    assert events.encode({"order": 1, "event": "saved"}) == b'{"event":"saved","order":1}'


def test_producer_of_its_own():
    with events.make_producer() as producer:
        assert events.send(producer, "audit", {"event": "login"}).topic() == "audit"


class TestSharedProducer:
    def test_nothing_is_left_to_send(self, producer):
        assert len(producer) == 0

    def test_events_of_an_order_stay_together(self, producer):
        key = str(uuid4())
        sent = [events.send(producer, "audit", {"step": step}, key) for step in range(3)]
        assert len({message.partition() for message in sent}) == 1


def test_event_is_read_back(producer):
    key = str(uuid4())
    events.send(producer, "orders", {"event": "paid"}, key)
    assert events.read("orders", key) == {"event": "paid"}
