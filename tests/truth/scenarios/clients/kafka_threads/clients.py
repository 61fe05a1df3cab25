"""Kafka's clients. Threads of their own send all that they send. The name begins with the service."""

import os
import ssl
from functools import partial

from aiokafka import AIOKafkaProducer
from brokers import BROKERS
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient
from workers import Client, LoopThread

CERTIFICATE = os.environ["TRUTH_CERTIFICATE"]
QUIET = {**BROKERS, "topic.metadata.refresh.interval.ms": -1}
OVER_TLS = {
    **QUIET,
    "bootstrap.servers": os.environ["TRUTH_KAFKA_TLS"],
    "security.protocol": "ssl",
    "ssl.ca.location": CERTIFICATE,
}


class Produces:
    def __init__(self, settings):
        self.producer = Producer(settings)

    def use(self):
        self.producer.produce("orders", b"one", partition=0)
        assert self.producer.flush(30) == 0

    def close(self):
        del self.producer


class Administers:
    def __init__(self, settings):
        self.client = AdminClient(settings)

    def use(self):
        assert "orders" in self.client.list_topics(timeout=30).topics

    def close(self):
        del self.client


class Consumes:
    """It has no subscription, so it sends nothing on its own."""

    def __init__(self, settings):
        self.consumer = Consumer({**settings, "group.id": "matrix"})

    def use(self):
        self.consumer.get_watermark_offsets(TopicPartition("orders", 0), timeout=30)

    def close(self):
        self.consumer.close()


class Aiokafka:
    producer = None

    def __init__(self, tls):
        self.settings = {"bootstrap_servers": BROKERS["bootstrap.servers"], "metadata_max_age_ms": 600_000}
        if tls:
            self.settings["bootstrap_servers"] = os.environ["TRUTH_KAFKA_TLS"]
            self.settings["security_protocol"] = "SSL"
            self.settings["ssl_context"] = ssl.create_default_context(cafile=CERTIFICATE)

    async def ask(self):
        if self.producer is None:
            self.producer = AIOKafkaProducer(**self.settings)
            await self.producer.start()
        await self.producer.send_and_wait("orders", b"one", partition=0)

    async def close(self):
        await self.producer.stop()


CLIENTS = {
    "kafka-producer": partial(Produces, QUIET),
    "kafka-admin": partial(Administers, QUIET),
    "kafka-consumer": partial(Consumes, QUIET),
    "kafka-aiokafka": partial(Client, LoopThread, partial(Aiokafka, tls=False)),
    "kafka_tls-producer": partial(Produces, OVER_TLS),
    "kafka_tls-admin": partial(Administers, OVER_TLS),
    "kafka_tls-consumer": partial(Consumes, OVER_TLS),
    "kafka_tls-aiokafka": partial(Client, LoopThread, partial(Aiokafka, tls=True)),
}
