import pytest
from brokers import BROKERS
from confluent_kafka import Producer
from sentry.testutils.cases import SnubaTestCase, TransactionTestCase


@pytest.mark.usefixtures("requires_kafka")
class RelayTest(SnubaTestCase, TransactionTestCase):
    def test_event_arrives(self):
        producer = Producer(BROKERS)
        producer.produce("orders", b"event")
        assert producer.flush(30) == 0
