"""A Kafka consumer that counts the requests that it sends on its own, so that a suite can wait for them."""

from __future__ import annotations

import json
from time import monotonic
from typing import Dict
from uuid import uuid4

from brokers import BROKERS
from confluent_kafka import Consumer, Producer


class Watched:
    """A consumer in its own group. Every 50 ms it counts its requests by kind."""

    def __init__(self) -> None:
        self.sent: Dict[str, int] = {}
        self.sent_s = 0.0
        settings = {
            "group.id": str(uuid4()),
            "auto.offset.reset": "earliest",
            "fetch.wait.max.ms": 50,
            "heartbeat.interval.ms": 50,
            "statistics.interval.ms": 50,
            "stats_cb": self.count,
        }
        self.consumer = Consumer({**BROKERS, **settings})
        self.consumer.subscribe(["orders"])

    def count(self, statistics: str) -> None:
        """Read librdkafka's statistics."""
        counters = json.loads(statistics)
        brokers = counters["brokers"].values()
        self.sent_s = counters["ts"] / 1e6  # the same clock as monotonic()
        self.sent = {kind: sum(broker["req"].get(kind, 0) for broker in brokers) for kind in ("Fetch", "Heartbeat")}

    def consume(self) -> None:
        """Wait for a message."""
        message = None
        while message is None:
            message = self.consumer.poll(30)
        assert message.error() is None

    def wait_for(self, kind: str) -> None:
        """Wait until the consumer sends another request of this kind."""
        since_s = monotonic()
        while self.sent_s <= since_s:
            self.consumer.poll(0.05)
        before = self.sent[kind]
        while self.sent[kind] == before:
            self.consumer.poll(0.05)


def produce() -> None:
    """Send a message, and wait until the broker has it."""
    producer = Producer(BROKERS)
    producer.produce("orders", b"one", partition=0)
    assert producer.flush() == 0
