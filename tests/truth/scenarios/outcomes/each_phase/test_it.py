import pytest
from peers import alpha, beta, delta, gamma


@pytest.fixture
def around():
    alpha.ask()
    yield
    gamma.ask()


@pytest.fixture
def fails_at_the_end():
    yield
    delta.ask()
    raise RuntimeError("after it has sent")


def test_passes(around):
    beta.ask()


def test_fails(around):
    beta.ask()
    raise RuntimeError("after it has sent")


def test_fails_in_teardown(around, fails_at_the_end):
    beta.ask()


def test_fails_in_call_and_teardown(around, fails_at_the_end):
    beta.ask()
    raise RuntimeError("after it has sent")


def test_skips(around):
    beta.ask()
    pytest.skip("after it has sent")


def test_skips_and_fails_in_teardown(around, fails_at_the_end):
    beta.ask()
    pytest.skip("after it has sent")
