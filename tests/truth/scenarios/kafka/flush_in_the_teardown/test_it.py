import pytest
from brokers import BROKERS
from confluent_kafka import Producer


def made():
    producer = Producer({**BROKERS, "linger.ms": 900_000, "message.timeout.ms": 0})
    producer.produce("orders", b"now", partition=0)
    assert producer.flush() == 0
    return producer


@pytest.fixture
def producer():
    producer = made()
    yield producer
    assert producer.flush() == 0


@pytest.fixture(scope="module")
def shared_producer():
    producer = made()
    yield producer
    assert producer.flush() == 0


def test_own(producer):
    producer.produce("orders", b"later", partition=0)


def test_shared(shared_producer):
    shared_producer.produce("orders", b"later", partition=0)


def test_shared_but_silent(shared_producer):
    pass
