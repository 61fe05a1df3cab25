import os
from pathlib import Path

import pytest
from peers import alpha, beta, gamma

crashed = Path("crashed")


@pytest.fixture(scope="session")
def pool():
    alpha.ask()


def test_crashes_once(pool):
    if not crashed.exists():
        beta.ask()
        crashed.touch()
        os.abort()
    gamma.ask()


def test_after(pool):
    pass
