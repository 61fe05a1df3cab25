from brokers import BROKERS
from confluent_kafka import Producer

_producers = []


def save(order):
    """As applications do: whoever saves first makes the producer."""
    if not _producers:
        _producers.append(Producer(BROKERS))
    _producers[0].produce("orders", order, partition=0)
    assert _producers[0].flush() == 0


def topics():
    return _producers[0].list_topics(timeout=30).topics
