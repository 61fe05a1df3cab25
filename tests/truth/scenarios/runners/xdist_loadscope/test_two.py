import pytest
from peers import alpha, beta, delta, gamma


@pytest.fixture(scope="module")
def of_module():
    alpha.ask()
    yield
    beta.ask()


@pytest.fixture(scope="class")
def of_class():
    gamma.ask()
    yield
    delta.ask()


def test_first(of_module):
    pass


def test_second(of_module):
    pass


class TestIn:
    def test_first(self, of_class):
        pass

    def test_second(self, of_class):
        pass


class TestInAnother:
    def test_first(self, of_class):
        pass
