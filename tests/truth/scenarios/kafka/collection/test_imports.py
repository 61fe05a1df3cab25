from brokers import BROKERS
from confluent_kafka import Producer

producer = Producer(BROKERS)
producer.list_topics(timeout=30)


def send():
    producer.produce("orders", b"one", partition=0)
    assert producer.flush() == 0


def test_sends():
    send()


def test_nothing():
    pass
