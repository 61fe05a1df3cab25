import pytest
from peers import alpha, beta


def test_it():
    alpha.ask()
    pytest.exit("in a test")


def test_after():
    beta.ask()
