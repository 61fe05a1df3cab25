import pytest
from watched import Watched, produce

left_running = []


def test_leaves_it_running():
    produce()
    left_running.append(Watched())
    left_running[0].consume()


def test_during_its_fetches():
    left_running[0].wait_for("Fetch")


def test_during_its_heartbeats():
    left_running[0].wait_for("Heartbeat")


@pytest.fixture(scope="module")
def service():
    left_running[0].wait_for("Fetch")


def test_with_a_fixture(service):
    pass


def test_produces_itself():
    produce()
    left_running[0].wait_for("Fetch")


def test_stops_it():
    left_running[0].consumer.close()
