import os

import pytest
from peers import alpha, beta


@pytest.fixture(scope="session")
def pool():
    alpha.ask()
    os._exit(77)


def test_crashes(pool):
    beta.ask()
