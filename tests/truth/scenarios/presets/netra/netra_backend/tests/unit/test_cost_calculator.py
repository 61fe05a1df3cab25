from test_framework.real_services_test_fixtures import client
from test_framework.test_config import DEV_PORTS


def test_calculates():
    assert 1000 * 0.03 / 1000 == 0.03


def test_reads_prices():
    """No unit test, and of a developer's data."""
    client(DEV_PORTS["postgresql"]).ask()
