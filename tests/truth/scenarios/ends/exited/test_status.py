import pytest
from peers import alpha


def test_it():
    alpha.ask()
    pytest.exit("with a status that is not pytest's", returncode=42)


def test_after():
    alpha.ask()
