import pytest
from peers import alpha, beta, delta, gamma


@pytest.fixture(scope="session")
def pool():
    alpha.ask()
    yield
    gamma.ask()


def test_passes():
    pass


def test_fails(pool):
    beta.ask()
    raise RuntimeError("after it has sent")


def test_never_runs(pool):
    delta.ask()
