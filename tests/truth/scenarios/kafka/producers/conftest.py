import pytest
from brokers import BROKERS
from confluent_kafka import Producer


@pytest.fixture
def own_producer():
    producer = Producer(BROKERS)
    producer.list_topics(timeout=30)
    yield producer
    assert producer.flush() == 0


@pytest.fixture(scope="session")
def shared_producer(pytestconfig):
    producer = Producer(BROKERS)
    producer.list_topics(timeout=30)
    pytestconfig.shared_producer = producer
    return producer


@pytest.fixture
def send():
    def send(producer):
        producer.produce("orders", b"one", partition=0)
        assert producer.flush() == 0

    return send
