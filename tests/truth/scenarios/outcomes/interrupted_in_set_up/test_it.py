import pytest
from peers import alpha, beta, delta


def test_before():
    pass


@pytest.fixture
def interrupted():
    alpha.ask()
    raise KeyboardInterrupt


def test_interrupted(interrupted):
    beta.ask()


def test_never_runs():
    delta.ask()
