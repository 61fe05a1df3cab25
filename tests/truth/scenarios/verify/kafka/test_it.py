from pathlib import Path

from brokers import BROKERS
from confluent_kafka import KafkaException, Producer
from confluent_kafka.admin import AdminClient

RAN = Path("ran")
LIMIT_S = 2 if RAN.exists() else 60  # a run with Kafka comes first, perhaps on a busy machine
RAN.touch()
IMPATIENT = {**BROKERS, "socket.connection.setup.timeout.ms": 1000, "message.timeout.ms": LIMIT_S * 1000}


def send():
    """The errors of one message."""
    errors = []
    producer = Producer(IMPATIENT)
    producer.produce("orders", b"one", on_delivery=lambda error, _: errors.append(error))
    producer.flush(100)
    return errors


def topics():
    """The broker's topics; none without it. The client is deleted: it would try again in the next test."""
    client = AdminClient(BROKERS)
    try:
        return client.list_topics(timeout=LIMIT_S).topics
    except KafkaException:
        return {}


def test_waits_for_the_delivery():
    assert send() == [None]


def test_does_not_look_at_the_result():
    send()


def test_topics():
    assert "orders" in topics()


def test_nothing():
    pass
