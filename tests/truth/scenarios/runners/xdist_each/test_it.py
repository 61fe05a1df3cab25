import os

import pytest
from peers import alpha, beta, gamma


@pytest.fixture(scope="session")
def pool():
    alpha.ask()


def test_everywhere(pool):
    {"gw0": beta, "gw1": gamma}[os.environ["PYTEST_XDIST_WORKER"]].ask()
