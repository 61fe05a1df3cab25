from itertools import count

import pytest
from peers import alpha, beta, delta, gamma, stream

attempts = {name: count(1) for name in ("set-up", "of class", "teardown")}


@pytest.fixture
def flaky():
    if next(attempts["set-up"]) == 1:
        alpha.ask()
        raise RuntimeError("the first time")
    beta.ask()


def test_has_a_flaky_fixture(flaky):
    pass


@pytest.fixture(scope="class")
def flaky_of_class():
    if next(attempts["of class"]) == 1:
        alpha.ask()
        raise RuntimeError("the first time")
    beta.ask()
    yield
    gamma.ask()


class TestIn:
    def test_first(self, flaky_of_class):
        pass

    def test_second(self, flaky_of_class):
        delta.ask()


@pytest.fixture
def flaky_in_teardown():
    yield
    if next(attempts["teardown"]) == 1:
        stream.ask()
        raise RuntimeError("the first time")


def test_has_a_flaky_teardown(flaky_in_teardown):
    pass
