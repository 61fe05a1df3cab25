from brokers import BROKERS
from confluent_kafka import KafkaException, Producer
from confluent_kafka.admin import AdminClient

IMPATIENT = {**BROKERS, "socket.connection.setup.timeout.ms": 1000, "message.timeout.ms": 1000}


def send():
    """The errors of one message."""
    errors = []
    producer = Producer(IMPATIENT)
    producer.produce("orders", b"one", on_delivery=lambda error, _: errors.append(error))
    producer.flush(60)
    return errors


def topics():
    """The broker's topics; none without it. The client ends here: its threads would try again in the next test."""
    client = AdminClient(BROKERS)
    try:
        return client.list_topics(timeout=2).topics
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
