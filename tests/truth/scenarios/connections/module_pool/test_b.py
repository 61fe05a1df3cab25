import pytest
import store


@pytest.fixture
def row():
    store.query()


def test_two_at_once():
    store.query(2)


def test_in_the_setup(row):
    pass
