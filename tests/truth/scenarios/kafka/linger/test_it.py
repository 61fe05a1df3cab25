from brokers import BROKERS
from confluent_kafka import Producer

producers = []


def test_produces():
    producers.append(Producer({**BROKERS, "linger.ms": 900_000, "message.timeout.ms": 0}))
    producers[0].produce("orders", b"now", partition=0)
    assert producers[0].flush() == 0
    producers[0].produce("orders", b"later", partition=0)


def test_waits():
    assert producers[0].flush() == 0
