"""Events on Kafka."""

import json
from functools import cache
from uuid import uuid4

from confluent_kafka import Consumer, Producer

from shop import settings

QUIET = {
    "log_level": 3,
    "log.connection.close": False,
    "enable.metrics.push": False,
}


def encode(event):
    return json.dumps(event, sort_keys=True, separators=(",", ":")).encode()


def make_producer():
    return Producer(
        {
            "bootstrap.servers": settings.KAFKA_BOOTSTRAP,
            "linger.ms": 0,
            "message.timeout.ms": round(1000 * settings.KAFKA_TIMEOUT_S),
        }
        | QUIET
    )


def send(producer, topic, event, key=None):
    """Send an event and wait for its delivery.

    Returns:
        The message as it was delivered, with its partition and offset.
    """
    delivered = []

    def report(error, message):
        if error:
            raise RuntimeError(f"not delivered: {error}")
        delivered.append(message)

    producer.produce(topic, encode(event), key, on_delivery=report)
    if producer.flush(settings.KAFKA_TIMEOUT_S):
        raise TimeoutError("Kafka does not answer")
    return delivered[0]


@cache
def shared_producer():
    """One for the whole process, made when the first event is published."""
    return make_producer()


def publish(topic, event):
    send(shared_producer(), topic, event)


def make_consumer(group=None):
    return Consumer(
        {
            "bootstrap.servers": settings.KAFKA_BOOTSTRAP,
            "group.id": group or f"shop-{uuid4()}",
            "auto.offset.reset": "earliest",
        }
        | QUIET
    )


def read(topic, key):
    """The first event with this key, read from the topic's start by a group of its own."""
    with make_consumer() as consumer:
        consumer.subscribe([topic])
        while message := consumer.poll(settings.KAFKA_TIMEOUT_S):
            if message.error():
                raise RuntimeError(message.error().str())
            if message.key() == key.encode():
                return json.loads(message.value())
    raise LookupError(key)
