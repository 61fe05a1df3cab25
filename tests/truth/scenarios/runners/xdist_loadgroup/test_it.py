import pytest
from peers import alpha, beta


@pytest.fixture(scope="session")
def pool():
    alpha.ask()


@pytest.mark.xdist_group("shop")
def test_first(pool):
    pass


@pytest.mark.xdist_group("shop")
@pytest.mark.parametrize("address", ["a@b"])
def test_second(pool, address):
    pass


def test_of_no_group():
    beta.ask()
