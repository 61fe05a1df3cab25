import pytest
from brokers import BROKERS
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient
from peers import closed


@pytest.fixture(scope="module")
def admin():
    admin = AdminClient(BROKERS)
    admin.list_topics(timeout=30)
    return admin


def test_own():
    assert "orders" in AdminClient(BROKERS).list_topics(timeout=30).topics


def test_shared(admin):
    assert "orders" in admin.list_topics(timeout=30).topics


def test_unreachable():
    host, port = closed.address
    failures = []
    producer = Producer({"bootstrap.servers": f"{host}:{port}", "error_cb": failures.append, "log_level": 0})
    while not failures:
        producer.poll(30)
