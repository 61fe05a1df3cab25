import pytest
from peers import alpha


@pytest.fixture
def db():
    alpha.ask()


def test_it(db):
    alpha.ask()
