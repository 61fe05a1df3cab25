from brokers import BROKERS
from confluent_kafka import Producer


def test_its_own(send):
    send(Producer(BROKERS))


def test_fixture_s(own_producer, send):
    send(own_producer)


def test_shared(shared_producer, send):
    send(shared_producer)


def test_shared_but_silent(shared_producer):
    pass


def test_shared_again(shared_producer, send):
    send(shared_producer)


def test_not_requested(pytestconfig, send):
    send(pytestconfig.shared_producer)


def test_nothing():
    pass
