import unittest

import pytest
from peers import abstract, alpha, beta, delta, gamma, packets, stream

abstract.ask()


@pytest.fixture(scope="session")
def pool():
    alpha.ask()
    yield
    delta.ask()


@pytest.fixture
def around(pool):
    beta.ask()
    yield
    gamma.ask()


def test_first(around):
    stream.ask()


def test_fails(pool):
    raise RuntimeError


def test_fetches(request):
    request.getfixturevalue("pool")
    pytest.skip("after it was fetched")


@pytest.mark.parametrize("number", [1, 2])
def test_parametrized(number):
    pass


class Case(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        packets.ask()

    def test_one(self):
        pass

    def test_two(self):
        with self.subTest():
            stream.ask()
