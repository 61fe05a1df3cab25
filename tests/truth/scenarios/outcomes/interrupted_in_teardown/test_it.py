import pytest
from peers import alpha, beta, delta, gamma


@pytest.fixture(scope="session")
def pool():
    alpha.ask()
    yield
    delta.ask()


@pytest.fixture
def interrupted():
    yield
    gamma.ask()
    raise KeyboardInterrupt


def test_interrupted(pool, interrupted):
    beta.ask()


def test_never_runs():
    beta.ask()
