"""Kafka's clients. librdkafka's threads send all that they send."""

from brokers import BROKERS
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient

QUIET = {**BROKERS, "topic.metadata.refresh.interval.ms": -1}


class Produces:
    def __init__(self):
        self.producer = Producer(QUIET)

    def use(self):
        self.producer.produce("orders", b"one", partition=0)
        assert self.producer.flush(30) == 0


class Administers:
    def __init__(self):
        self.client = AdminClient(QUIET)

    def use(self):
        assert "orders" in self.client.list_topics(timeout=30).topics


class Consumes:
    """It has no subscription, so it sends nothing on its own."""

    def __init__(self):
        self.consumer = Consumer({**QUIET, "group.id": "matrix"})

    def use(self):
        self.consumer.get_watermark_offsets(TopicPartition("orders", 0), timeout=30)


CLIENTS = {"producer": Produces, "admin": Administers, "consumer": Consumes}
