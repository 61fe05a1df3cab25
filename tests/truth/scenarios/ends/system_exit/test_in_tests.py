import sys

import pytest
from peers import alpha, beta, gamma


@pytest.fixture
def leaves():
    beta.ask()
    sys.exit(0)


def test_call():
    alpha.ask()
    sys.exit(0)


def test_setup(leaves):
    pass


def test_after():
    gamma.ask()
