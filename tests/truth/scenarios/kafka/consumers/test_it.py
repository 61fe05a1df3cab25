from watched import Watched


def test_own():
    watched = Watched()
    watched.consume()
    watched.wait_for("Heartbeat")
    watched.consumer.close()


def test_fixture_s(consumer):
    consumer.consume()


def test_nothing():
    pass
