import pytest
from heart import Heart
from peers import alpha, beta

hearts = {}


def pytest_configure():
    hearts["configured"] = Heart(alpha)


@pytest.fixture(scope="session")
def heartbeat():
    hearts["fixture"] = Heart(beta)


@pytest.fixture
def beat():
    """As time would."""
    return lambda name: hearts[name].beat()
