import pytest
from peers import alpha, beta, gamma


def test_before():
    alpha.ask()


@pytest.mark.parametrize("number", [1], ids=["x" * 1_100_000])
def test_it(number):
    beta.ask()


def test_after():
    gamma.ask()
