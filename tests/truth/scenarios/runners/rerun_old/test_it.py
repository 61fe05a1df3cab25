from itertools import count

import pytest
from peers import alpha, beta, delta, gamma

attempts = {name: count(1) for name in ("flaky", "skips")}


@pytest.fixture
def around():
    alpha.ask()
    yield
    delta.ask()


@pytest.fixture(scope="module")
def pool():
    gamma.ask()


def test_is_flaky(around, pool):
    beta.ask()
    assert next(attempts["flaky"]) == 3


def test_fails_again_and_again(around):
    beta.ask()
    raise RuntimeError("each time")


def test_skips_at_last(around):
    if next(attempts["skips"]) == 2:
        pytest.skip("this time")
    raise RuntimeError("the first time")


def test_passes(pool):
    pass
