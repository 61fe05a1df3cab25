import pytest
from peers import alpha, beta


@pytest.fixture
def db():
    alpha.ask()
    yield
    beta.ask()


@pytest.fixture
def broken():
    raise ValueError


def test_it(db):
    beta.ask()


def test_broken(broken):
    beta.ask()


@pytest.mark.skip
def test_skipped(db):
    beta.ask()


@pytest.mark.xfail(run=False)
def test_xfail(db):
    beta.ask()
