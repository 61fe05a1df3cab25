import pytest
from peers import alpha, beta


@pytest.fixture(scope="module", autouse=True)
def wide():
    alpha.ask()


@pytest.mark.parametrize("number", range(2700))
def test_it(number):
    pass


@pytest.mark.parametrize("number", range(300))
def test_asks(number):
    beta.ask()
