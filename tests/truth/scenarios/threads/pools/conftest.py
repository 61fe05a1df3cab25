import pytest
from peers import beta, gamma
from workers import Pool


@pytest.fixture(scope="session")
def warm_pool(pytestconfig):
    """Its thread starts in the fixture."""
    with Pool(beta, 1) as pool:
        pool.ask()
        pytestconfig.warm_pool = pool
        yield pool


@pytest.fixture(scope="session")
def lazy_pool():
    """Its threads start when tests have work for them."""
    with Pool(gamma, 2) as pool:
        yield pool
