def test_polls(consumer):
    consumer.wait_for("Fetch")


def test_does_not(pytestconfig):
    pytestconfig.watched.wait_for("Heartbeat")


def test_polls_too(consumer):
    consumer.wait_for("Fetch")
