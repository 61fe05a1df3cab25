import pytest
from peers import alpha, beta, gamma

alpha.ask()


@pytest.mark.xdist_group("one")
def test_grouped():
    beta.ask()


def test_alone():
    gamma.ask()


@pytest.mark.parametrize("text", ["a@b"])
def test_at(text):
    pass
