from uuid import uuid4

from brokers import BROKERS
from confluent_kafka import Producer

producers = []


def commit(producer):
    producer.begin_transaction()
    producer.produce("orders", b"one", partition=0)
    producer.commit_transaction(30)


def test_makes_it():
    producers.append(Producer({**BROKERS, "transactional.id": str(uuid4())}))
    producers[0].init_transactions(30)
    commit(producers[0])


def test_commits():
    commit(producers.pop())  # and so it ends here


def test_idempotent():
    producer = Producer({**BROKERS, "enable.idempotence": True})
    producer.produce("orders", b"one", partition=0)
    assert producer.flush() == 0
