"""A Kafka consumer that tells what it sends of its own accord, so that a suite can wait for it. Python from 3.8."""

from __future__ import annotations

import json
from time import monotonic
from typing import Dict
from uuid import uuid4

from brokers import BROKERS
from confluent_kafka import Consumer, Producer


class Watched:
    """A consumer of its own group, which says what it has sent: the requests by kind, every 50 ms."""

    def __init__(self) -> None:
        self.sent: Dict[str, int] = {}
        self.sent_s = 0.0
        settings = {
            "group.id": str(uuid4()),
            "auto.offset.reset": "earliest",
            "fetch.wait.max.ms": 50,
            "heartbeat.interval.ms": 50,
            "statistics.interval.ms": 50,
            "stats_cb": self.hear,
        }
        self.consumer = Consumer({**BROKERS, **settings})
        self.consumer.subscribe(["orders"])

    def hear(self, statistics: str) -> None:
        """Take in librdkafka's statistics."""
        told = json.loads(statistics)
        brokers = told["brokers"].values()
        self.sent_s = told["ts"] / 1e6  # of the same clock as monotonic()
        self.sent = {kind: sum(broker["req"].get(kind, 0) for broker in brokers) for kind in ("Fetch", "Heartbeat")}

    def consume(self) -> None:
        """Wait for a message."""
        message = None
        while message is None:
            message = self.consumer.poll(30)
        assert message.error() is None

    def wait_for(self, kind: str) -> None:
        """Wait until it has sent a request of this kind since now."""
        since_s = monotonic()
        while self.sent_s <= since_s:
            self.consumer.poll(0.05)
        before = self.sent[kind]
        while self.sent[kind] == before:
            self.consumer.poll(0.05)


def produce() -> None:
    """Send a message to consume, and wait until the broker has it."""
    producer = Producer(BROKERS)
    producer.produce("orders", b"one", partition=0)
    assert producer.flush() == 0
